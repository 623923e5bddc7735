"""Stand-ins for the outside world, on loopback: an ERP service and a mail server.

    python -m checkout_demo.sandbox.erp    the ERP service, with faults one can switch on
    python -m checkout_demo.sandbox.mail   the mail server, which keeps what it gets

ledger.py  what the ERP service keeps, and how it does a call once
faults.py  the faults that the ERP service can be told to have
inbox.py   the mails that the mail server has got
"""
