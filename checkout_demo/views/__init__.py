"""The store's addresses, one file for each area.

shop.py      the catalogue and the cart
checkout.py  the page's checkout form
orders.py    an order's page, with the live state of its jobs
api.py       products and orders for programs
jobs.py      any job's state, and scheduling one of the sample jobs, for programs
demo.py      the sample jobs, for people
inbox.py     the mails that the sandbox has got
health.py    is the process up, are its database and its broker there
"""
