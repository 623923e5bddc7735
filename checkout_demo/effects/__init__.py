"""What an order causes outside the store: a mail to the buyer, a sale and less stock in the ERP.

errors.py   how an effect can fail: in a way that may pass, or in one that will not
receipt.py  the mail with the receipt, composed and sent
erp.py      the client of the ERP service
"""
