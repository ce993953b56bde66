-- question: Which calls were denied, to whom, and by which layer of policy?
-- about: Action and layer come from the error message; they are empty where AWS does not say them there.
-- param principal text = null : ARN of a user or role, with its path; all where not given
-- param since time = null : earliest instant
-- param until time = null : first instant that no longer counts
-- column principal text : ARN of the user or role
-- column source text : event source
-- column name text : event name
-- column action text : IAM action that was refused; it may differ from the call
-- column layer text : layer that refused, such as identity-based policy or service control policy
-- column explicit boolean : whether a Deny statement refused, rather than the lack of an Allow
-- column calls integer : denied calls
-- column first time : first of them
-- column last time : last of them
-- column example text : id of the last of them
WITH denied AS (
    SELECT
        CASE WHEN issuer_arn <> '' THEN issuer_arn ELSE principal_arn END AS principal,
        source,
        name,
        time,
        coalesce(event_id, '') AS event_id,
        regexp_extract(error_message, 'not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z0-9*]+)', 1) AS action,
        lower(regexp_extract(
            error_message, '(?:explicit deny in an?|because no) ([A-Za-z -]*?(?:policy|policies|boundary))', 1
        )) AS layer,
        contains(error_message, 'explicit deny') AS explicit
    FROM events
    WHERE counted
        AND outcome = 'denied'
        AND ($since::TIMESTAMP IS NULL OR time >= $since::TIMESTAMP)
        AND ($until::TIMESTAMP IS NULL OR time < $until::TIMESTAMP)
)
SELECT
    principal,
    source,
    name,
    action,
    layer,
    explicit,
    count(*) AS calls,
    min(time) AS first,
    max(time) AS last,
    max_by(event_id, (time, event_id)) AS example
FROM denied
WHERE $principal::VARCHAR IS NULL OR principal = $principal::VARCHAR
GROUP BY ALL
ORDER BY calls DESC, principal, source, name, action, layer, explicit
