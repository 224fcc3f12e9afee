"""Incidents on their way to people: to Alertmanager, chat, pager and mail."""
