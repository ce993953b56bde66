//! The command line of plans and proofs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::span;

use super::AdviceArg;

/// `jitscan remediate …`.
#[derive(Debug, Subcommand)]
pub enum RemediateAction {
    /// Make a plan from recommendations, all of them or those chosen, and write it to a file; nothing in AWS changes
    Plan(PlanArgs),
    /// Show a plan: what changes and why, each call with the one that takes it back, documents line by line
    Show {
        /// The plan
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
    },
    /// Decide every distinct recorded call of the plan's principals in the window again, in the state after the plan; exits
    /// with 3 where one would be denied
    Prove {
        /// The plan
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
    },
}

/// `jitscan remediate plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Where the plan is written
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Only recommendations whose id begins so; repeat for more
    #[arg(long, value_name = "ID")]
    pub id: Vec<String>,
    /// Only principals whose ARN contains this
    #[arg(long, value_name = "TEXT")]
    pub principal: Option<String>,
    /// Only what this person holds; others keep what they have through the same principals
    #[arg(long, value_name = "ID")]
    pub person: Option<String>,
    /// Only this account
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// Only this advice; repeat for more
    #[arg(long, value_name = "ADVICE", value_enum)]
    pub advice: Vec<AdviceArg>,
    /// As for `recommend`: requests that one person is willing to make, such as 2/week
    #[arg(long, value_name = "N/SPAN", value_parser = span::budget)]
    pub friction_budget: Option<u64>,
    /// Also change principals that CloudFormation or Terraform manage, by their tags
    #[arg(long)]
    pub managed_by_code: bool,
}
