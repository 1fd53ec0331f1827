"""One search box: what a person may mean by a text, and where that is found in all cases."""
