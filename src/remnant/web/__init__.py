"""The web dashboard and its API: the store, the report and the judge, in a browser, live.

Every page is one function that answers with plain data (``pages``); the same answer is written as
HTML, as JSON (``.json``) and as CSV (``.csv``). So the API and the pages cannot differ. What takes
longer than a page may (verdict, estimates, map) is worked out beside the server (``results``). Who
may ask what is declared with each page and checked before it runs (``access``).
"""
