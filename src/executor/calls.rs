//! Every call that changing access makes, as data: the guard lets nothing else through, and the policy that `jitscan
//! permissions --for remediate` prints is made of it.

use crate::fetch::calls::{ASSUME_ROLE, Call, GET_ACCOUNT_AUTHORIZATION_DETAILS, GET_CALLER_IDENTITY, Purpose};

macro_rules! calls {
    ($($constant:ident: $operation:literal;)*) => {
        $(pub(super) const $constant: Call = Call {
            service: "IAM",
            operation: $operation,
            action: concat!("iam:", $operation),
            purpose: Purpose::Remediation,
        };)*
        /// Every call, those that only read first.
        pub const CALLS: &[&Call] =
            &[&GET_CALLER_IDENTITY, &ASSUME_ROLE, &GET_ACCOUNT_AUTHORIZATION_DETAILS, $(&$constant),*];
    };
}

calls! {
    GET_USER: "GetUser";
    GET_ROLE: "GetRole";
    GET_ROLE_POLICY: "GetRolePolicy";
    GET_USER_POLICY: "GetUserPolicy";
    GET_POLICY: "GetPolicy";
    GET_POLICY_VERSION: "GetPolicyVersion";
    LIST_ATTACHED_ROLE_POLICIES: "ListAttachedRolePolicies";
    LIST_ATTACHED_USER_POLICIES: "ListAttachedUserPolicies";
    LIST_GROUPS_FOR_USER: "ListGroupsForUser";
    PUT_ROLE_POLICY: "PutRolePolicy";
    DELETE_ROLE_POLICY: "DeleteRolePolicy";
    PUT_USER_POLICY: "PutUserPolicy";
    DELETE_USER_POLICY: "DeleteUserPolicy";
    ATTACH_ROLE_POLICY: "AttachRolePolicy";
    DETACH_ROLE_POLICY: "DetachRolePolicy";
    ATTACH_USER_POLICY: "AttachUserPolicy";
    DETACH_USER_POLICY: "DetachUserPolicy";
    ADD_USER_TO_GROUP: "AddUserToGroup";
    REMOVE_USER_FROM_GROUP: "RemoveUserFromGroup";
    CREATE_POLICY: "CreatePolicy";
    DELETE_POLICY: "DeletePolicy";
    CREATE_ROLE: "CreateRole";
    DELETE_ROLE: "DeleteRole";
}
