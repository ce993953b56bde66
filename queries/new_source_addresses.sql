-- question: From which addresses did principals call for the first time in the last days?
-- about: Names of AWS services are left out. Never before means: not in the logs that were ingested.
-- param principal text = null : ARN of a user or role, with its path; all where not given
-- param days integer = 7 : days before the as-of instant that count as new
-- column principal text : ARN
-- column source_ip text : address
-- column first time : first call from there
-- column last time : last call from there
-- column calls integer : calls
-- column denied integer : of these, denied
-- column known_addresses integer : addresses from which the principal had called before
WITH pairs AS (
    SELECT
        CASE WHEN issuer_arn <> '' THEN issuer_arn ELSE principal_arn END AS caller,
        source_ip,
        min(time) AS first,
        max(time) AS last,
        count(*) AS calls,
        count(*) FILTER (WHERE outcome = 'denied') AS denied
    FROM events
    WHERE counted
        AND event_type <> 'AwsServiceEvent'
        AND time < (SELECT as_of FROM scan)
        AND ($principal::VARCHAR IS NULL OR issuer_arn = $principal::VARCHAR OR principal_arn = $principal::VARCHAR)
    GROUP BY caller, source_ip
),
addresses AS (
    SELECT *, first >= (SELECT as_of - to_days($days::INTEGER) FROM scan) AS is_new
    FROM pairs
    -- An address, not the name of a service: services have letters beyond hexadecimal digits in their names.
    WHERE regexp_full_match(source_ip, '[0-9a-fA-F.:]+')
        AND caller <> ''
        AND ($principal::VARCHAR IS NULL OR caller = $principal::VARCHAR)
),
known AS (
    SELECT caller, count(*) AS addresses FROM addresses WHERE NOT is_new GROUP BY caller
)
SELECT
    a.caller AS principal,
    a.source_ip AS source_ip,
    a.first AS first,
    a.last AS last,
    a.calls AS calls,
    a.denied AS denied,
    coalesce(k.addresses, 0) AS known_addresses
FROM addresses AS a
LEFT JOIN known AS k ON k.caller = a.caller
WHERE a.is_new
ORDER BY a.first, a.caller, a.source_ip
