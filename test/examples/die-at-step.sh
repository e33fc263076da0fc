# shellcheck shell=bash
# Read by bash before a script (BASH_ENV): the script is killed at its DIE_AT-th command.
set -o functrace
# shellcheck disable=SC2034
die_at_step=0
trap '((++die_at_step == DIE_AT)) && kill -9 $$' DEBUG
