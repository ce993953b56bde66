-- question: Which calls did a principal make in the last days that it had never made before?
-- about: Never before means: not in the logs that were ingested, which begin at logs_begin.
-- param principal text : ARN of the user or role, with its path
-- param days integer = 7 : days before the as-of instant that count as new
-- column source text : event source
-- column name text : event name
-- column first time : first call
-- column calls integer : calls since then
-- column denied integer : of these, denied
-- column logs_begin text : first day of which the lake holds any call of the principal
WITH calls AS (
    SELECT u.*
    FROM usage AS u
    JOIN sessions AS s ON s.session = u.session
    WHERE CASE WHEN s.issuer_arn <> '' THEN s.issuer_arn ELSE s.principal_arn END = $principal
),
limits AS (
    SELECT as_of - to_days($days::INTEGER) AS since, as_of FROM scan
)
SELECT
    source,
    name,
    min(first) AS first,
    sum(count) AS calls,
    coalesce(sum(count) FILTER (WHERE outcome = 'denied'), 0) AS denied,
    (SELECT min(day) FROM calls) AS logs_begin
FROM calls
CROSS JOIN limits
WHERE first < as_of
GROUP BY source, name
HAVING min(first) >= any_value(since)
ORDER BY first, source, name
