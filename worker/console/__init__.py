"""The console: a page of live plots, and a form that sends a question through the topics."""
