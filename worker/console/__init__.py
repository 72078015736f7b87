"""The console: a web page with live plots of one worker, and a form that asks a question."""
