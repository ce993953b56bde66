-- question: What was called from an address?
-- about: The newest records come first; both copies of a cross-account call are shown.
-- param source_ip text : the address, or the name of an AWS service
-- param since time = null : earliest instant
-- param until time = null : first instant that no longer counts
-- param limit integer = 1000 : most rows to give
-- column time time : when
-- column account text : account
-- column region text : region
-- column principal text : ARN of the user or role
-- column access_key text : the key that signed
-- column source text : event source
-- column name text : event name
-- column resource text : main resource
-- column outcome text : what became of the call
-- column error_code text : error code, empty where there was none
-- column user_agent text : program, as it called itself
-- column event_id text : the event
SELECT
    time,
    account,
    region,
    CASE WHEN issuer_arn <> '' THEN issuer_arn ELSE principal_arn END AS principal,
    access_key,
    source,
    name,
    resource,
    outcome,
    error_code,
    user_agent,
    coalesce(event_id, '') AS event_id
FROM events
WHERE source_ip = $source_ip
    AND ($since::TIMESTAMP IS NULL OR time >= $since::TIMESTAMP)
    AND ($until::TIMESTAMP IS NULL OR time < $until::TIMESTAMP)
ORDER BY time DESC, account, event_id, source, name
LIMIT $limit::BIGINT
