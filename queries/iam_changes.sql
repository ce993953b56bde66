-- question: Who changed identities, policies or the organisation, and how?
-- about: Lists writing calls to IAM, Identity Center, its directory and Organizations, in order of time.
-- param since time = null : earliest instant
-- param until time = null : first instant that no longer counts
-- param principal text = null : ARN of a user or role, with its path; all where not given
-- column time time : when
-- column account text : account
-- column principal text : ARN of the user or role
-- column acting_as text : source identity, else session or user name; a session name is a claim
-- column source text : event source
-- column name text : event name
-- column resource text : what was changed, as far as the record names it
-- column outcome text : what became of the call
-- column source_ip text : address, or the AWS service that called
-- column event_id text : the event
WITH changes AS (
    SELECT
        *,
        CASE WHEN issuer_arn <> '' THEN issuer_arn ELSE principal_arn END AS principal
    FROM events
    WHERE counted
        AND source IN (
            'iam.amazonaws.com', 'sso.amazonaws.com', 'sso-directory.amazonaws.com', 'identitystore.amazonaws.com',
            'organizations.amazonaws.com', 'rolesanywhere.amazonaws.com'
        )
        AND read_only IS NOT true
        AND ($since::TIMESTAMP IS NULL OR time >= $since::TIMESTAMP)
        AND ($until::TIMESTAMP IS NULL OR time < $until::TIMESTAMP)
)
SELECT
    time,
    account,
    principal,
    CASE
        WHEN source_identity <> '' THEN source_identity
        WHEN issuer_arn <> '' THEN split_part(principal_id, ':', 2)
        ELSE user_name
    END AS acting_as,
    source,
    name,
    resource,
    outcome,
    source_ip,
    coalesce(event_id, '') AS event_id
FROM changes
WHERE $principal::VARCHAR IS NULL OR principal = $principal::VARCHAR
ORDER BY time, account, event_id, source, name, resource
