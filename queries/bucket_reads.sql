-- question: Who read objects of a bucket?
-- about: Only data events show this. No rows mean nothing where no trail records data events of the bucket.
-- param bucket text : name of the bucket
-- param since time = null : earliest instant
-- param until time = null : first instant that no longer counts
-- column principal text : ARN of the user or role
-- column session_name text : name of the session: a claim, unless a trust policy or Identity Center pins it
-- column source_ip text : address, or the AWS service that called
-- column name text : event name
-- column outcome text : what became of the calls
-- column calls integer : calls
-- column objects integer : distinct objects
-- column first time : first call
-- column last time : last call
SELECT
    CASE WHEN issuer_arn <> '' THEN issuer_arn ELSE principal_arn END AS principal,
    CASE WHEN issuer_arn <> '' THEN split_part(principal_id, ':', 2) ELSE '' END AS session_name,
    source_ip,
    name,
    outcome,
    count(*) AS calls,
    count(DISTINCT resource) AS objects,
    min(time) AS first,
    max(time) AS last
FROM events
WHERE counted
    AND category = 'data'
    AND source = 's3.amazonaws.com'
    AND coalesce(read_only, starts_with(name, 'Get') OR starts_with(name, 'Head') OR starts_with(name, 'List'))
    AND (parent_resource = $bucket OR split_part(split_part(parent_resource, ':::', 2), '/', 1) = $bucket)
    AND ($since::TIMESTAMP IS NULL OR time >= $since::TIMESTAMP)
    AND ($until::TIMESTAMP IS NULL OR time < $until::TIMESTAMP)
GROUP BY ALL
ORDER BY calls DESC, principal, session_name, source_ip, name, outcome
