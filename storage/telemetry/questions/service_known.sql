-- Whether anything at all was heard from a service.
SELECT
    (SELECT count() FROM (SELECT 1 FROM golden_signals_1h WHERE service = {service:String} LIMIT 1))
    + (SELECT count() FROM (SELECT 1 FROM spans WHERE service = {service:String} LIMIT 1)) > 0 AS known
