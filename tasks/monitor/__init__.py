"""Flower's extra pages: see what waits, what failed, who changed what; and mend it.

`celery -A tasks flower` reads `flowerconfig.py`, and that calls `install`. Nothing of Flower is
changed on the disk, and no worker loads any of this.

install.py     puts all of it into Flower
access.py      who may look and who may change things
guard.py       what stands before every page, Flower's own included
brokers.py     the apps that the pages can show
background.py  the threads that talk to the brokers, so that Flower's loop never waits
templating.py  Flower's templates and ours, and the tabs
tabs.py        what a page says of itself, and the counts in the tabs
page.py        what the pages have in common
pages/         the pages, one file each: a new one is a file there and a line in its `__init__.py`
"""
