-- Whether the store answers and has the schema.
SELECT count() AS migrations FROM schema_migrations
