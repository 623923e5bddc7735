"""What every request goes through, from the outside in, and what the views share.

request_id.py  one id for the request, on every log line and in the answer
headers.py     what browsers are told: content security policy and its kin
access.py      one log line for each request; an error nobody caught becomes a 500
origin.py      a POST from another site is refused
body.py        a body of more than 64 KiB is refused, with or without its length
errors.py      errors as answers: JSON for programs, a page for people
reading.py     JSON and forms out of a body, or faults
pages.py       templates into answers, and the sentence that a redirect carries
store.py       the settings and the database that views use
"""
