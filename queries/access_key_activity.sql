-- question: What did an access key do, from where, and with what outcome?
-- about: Works for long-lived keys (AKIA…) and for those of sessions (ASIA…).
-- param access_key text : id of the key
-- param since time = null : earliest instant
-- param until time = null : first instant that no longer counts
-- column source text : event source
-- column name text : event name
-- column account text : account in whose logs it stands
-- column region text : region
-- column source_ip text : address, or the AWS service that called
-- column outcome text : what became of the calls
-- column error_code text : error code, empty where there was none
-- column calls integer : calls
-- column first time : first call
-- column last time : last call
SELECT
    source,
    name,
    account,
    region,
    source_ip,
    outcome,
    error_code,
    count(*) AS calls,
    min(time) AS first,
    max(time) AS last
FROM events
WHERE counted
    AND access_key = $access_key
    AND ($since::TIMESTAMP IS NULL OR time >= $since::TIMESTAMP)
    AND ($until::TIMESTAMP IS NULL OR time < $until::TIMESTAMP)
GROUP BY ALL
ORDER BY first, source, name, account, region, source_ip, outcome, error_code
