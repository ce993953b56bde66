-- question: Who stands behind each session, through which calls did its credentials come, and where is a link missing?
-- about: The hops lead from whoever made the first call to the session; `role_chain` has the calls of one key as rows.
-- about: A session name alone names nobody. Calls, first and last are of the whole lake.
-- param principal text = null : ARN of the user or role, with its path
-- param person text = null : the person
-- param access_key text = null : id of the session's key
-- param missing_only boolean = false : only sessions of which the start is not known, or not for certain
-- param limit integer = 1000 : most rows to give
-- column principal text : ARN of the session's principal
-- column session_name text : role session name, a claim of whoever began the session; empty for others
-- column access_key text : the key that signed; empty where not recorded
-- column person text : the person; empty where none or not known
-- column basis text : what that rests on; session_name is a guess, and no person in `usage`
-- column machine boolean : a program, a pipeline or an AWS service acts
-- column hops list : the calls through which the credentials came, the first one first
-- column start text : the principal at the start of the chain; the session's own where there is none
-- column missing text : no_record, before_logs, workload, not_collected, copy_only, unreadable, several_callers, name_only, circle; empty where nothing is missing
-- column why text : the same in words
-- column calls integer : calls of the session
-- column first time : first call
-- column last time : last call
WITH used AS (
    SELECT session, sum(count) AS calls, min(first) AS first, max(last) AS last
    FROM usage
    GROUP BY session
)
SELECT
    a.principal AS principal,
    a.session_name AS session_name,
    a.access_key AS access_key,
    a.person AS person,
    a.basis AS basis,
    a.machine AS machine,
    from_json(a.hops, '["VARCHAR"]') AS hops,
    a.start AS start,
    a.missing AS missing,
    a.why AS why,
    coalesce(u.calls, 0)::BIGINT AS calls,
    u.first AS first,
    u.last AS last
FROM attribution AS a
LEFT JOIN used AS u ON u.session = a.session
WHERE a.kind NOT IN ('service', 'other_account', 'unknown')
    AND ($principal::VARCHAR IS NULL OR a.principal = $principal::VARCHAR)
    AND ($person::VARCHAR IS NULL OR a.person = $person::VARCHAR)
    AND ($access_key::VARCHAR IS NULL OR a.access_key = $access_key::VARCHAR)
    AND (a.missing <> '' OR NOT $missing_only::BOOLEAN)
ORDER BY last DESC NULLS LAST, principal, session_name, access_key, a.session
LIMIT $limit::BIGINT
