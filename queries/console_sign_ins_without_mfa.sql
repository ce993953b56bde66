-- question: Who signed in to the console without multi-factor authentication?
-- about: Lists successful sign-ins of IAM users and root, and those of which the log does not say what became of them.
-- about: Sign-ins through an identity provider say nothing here: MFA is asked for there.
-- param since time = null : earliest instant
-- param until time = null : first instant that no longer counts
-- param include_federated boolean = false : also list sign-ins through an identity provider, of which the record cannot tell
-- column time time : when
-- column account text : account
-- column identity_type text : kind of identity
-- column principal text : ARN
-- column outcome text : authorised, or unknown where an export left the answer out
-- column mfa_used text : No, or empty where the record does not say
-- column source_ip text : address
-- column user_agent text : browser, as it called itself
-- column event_id text : the event
SELECT
    time,
    account,
    identity_type,
    principal_arn AS principal,
    outcome,
    coalesce(json_extract_string(nullif(additional, ''), '$.MFAUsed'), '') AS mfa_used,
    source_ip,
    user_agent,
    coalesce(event_id, '') AS event_id
FROM events
WHERE counted
    AND name = 'ConsoleLogin'
    AND source = 'signin.amazonaws.com'
    -- The answer itself is not there in a store that was filled with --slim; its outcome is.
    AND outcome IN ('authorised', 'unknown')
    AND mfa_used <> 'Yes'
    AND ($include_federated::BOOLEAN OR identity_type IN ('IAMUser', 'Root'))
    AND ($since::TIMESTAMP IS NULL OR time >= $since::TIMESTAMP)
    AND ($until::TIMESTAMP IS NULL OR time < $until::TIMESTAMP)
ORDER BY time, account, principal, event_id
