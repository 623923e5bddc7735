"""The schema's versions, for Alembic."""
