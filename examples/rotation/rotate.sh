#!/usr/bin/env bash
# Rotates an API key without an outage, as the key itself: no administrator is needed. See docs/rotation.md.
#
# A journal beside the key file says how far it got, and is on disk before the step that it speaks of:
#   asked     the request may have gone out; repeated with the same Idempotency-Key, it gets the same answer
#   answered  the new key is in the journal; the key file still has the old one
#   placed    the new key is in the key file; what is left is to see the old one out
# Every step can be repeated, so a run that was killed anywhere is finished by the next one.
set -euo pipefail
umask 077
export LC_ALL=C
export -n KEYTURN_API_KEY # ours to send, not our children's to have

usage='Usage: rotate.sh [--grace SECONDS] [--mode overlap|first-use] [--poll SECONDS] [--quiet SECONDS] KEY_FILE

Gives the key in KEY_FILE a new secret and puts it there. The old one works on for the grace.

  --grace   how long both secrets work: 1 to 31536000 (86400)
  --mode    overlap: the grace runs at once; first-use: from the first use of the new secret on (overlap)
  --poll    how often to look whether the old secret is still used (30)
  --quiet   how long it must not have been used (as long as a token of the key lives)

  KEYTURN_URL      the service (http://127.0.0.1:8080)
  KEYTURN_API_KEY  the access key of an account that may read keys: then this waits until the old secret is out of use

Run it again after any interruption. Exit codes: 0 rotated, 1 not (yet), 2 usage.'

key_pattern='kt_([0-9a-f]{32})_[0-9A-Za-z]{34}([0-9A-Za-z]{4})'

retiring_pattern='.*\{"state":"retiring"[^}]*"lastUsedAt":"?([^",]*)"?,"lastUsedFrom":"?([^",]*)"?,"retiresAt":"([^"]*)".*'
curl_options=(--disable --silent --show-error --max-time 30 --write-out '\n%{http_code}')

main() {
  read_arguments "$@"
  take_lock
  read_key_file
  read_journal
  if [[ -z $phase ]]; then begin; fi
  if [[ $phase == asked ]]; then ask; fi
  if [[ $phase == answered ]]; then place; fi
  watch_old_secret
  finish
}

read_arguments() {
  grace=86400 mode=overlap poll=30 quiet='' file=''
  url=${KEYTURN_URL:-http://127.0.0.1:8080}
  url=${url%/}
  while (($# > 0)); do
    case $1 in
      --grace | --mode | --poll | --quiet)
        (($# > 1)) || misuse "$1 needs a value."
        printf -v "${1#--}" '%s' "$2"
        shift
        ;;
      --help) printf '%s\n' "$usage" && exit 0 ;;
      -*) misuse "There is no option $1." ;;
      *)
        [[ -z $file ]] || misuse 'One key file at a time.'
        file=$1
        ;;
    esac
    shift
  done
  [[ -n $file ]] || misuse 'Which key file?'
  [[ $grace =~ ^[1-9][0-9]{0,7}$ ]] || misuse '--grace: 1 to 31536000 seconds.'
  ((grace <= 31536000)) || misuse '--grace: 1 to 31536000 seconds.'
  [[ $mode =~ ^(overlap|first-use)$ ]] || misuse '--mode: overlap or first-use.'
  [[ $poll =~ ^[0-9]{1,5}(\.[0-9]{1,3})?$ ]] || misuse '--poll: seconds.'
  [[ $quiet =~ ^[0-9]{0,8}$ ]] || misuse '--quiet: whole seconds.'
  [[ $url =~ ^https?://[^[:space:]\"\\@]+$ ]] || misuse 'KEYTURN_URL: an http or https URL without a user.'
  [[ ${KEYTURN_API_KEY:-} =~ ^($key_pattern)?$ ]] || misuse 'KEYTURN_API_KEY holds no key.'
  [[ $file == */* ]] || file=./$file
  journal=$file.rotation
  lock=$file.rotation.lock
  temporary=$file.rotation.tmp
}

# A symbolic link is made in one piece, with what it says. Where a dead owner's lock is taken over by two at once, nothing
# is lost: the journal is made once, and all that follows from it is the same for both.
take_lock() {
  local holder
  identity="$$:$(start_of $$)"
  until ln -s -- "$identity" "$lock" 2>/dev/null; do
    holder=$(readlink -- "$lock") || fail "The folder of $file cannot be written to, or another copy just ended."
    if is_running "$holder"; then fail "Another copy (process ${holder%%:*}) is rotating this key."; fi
    rm -f -- "$lock"
  done
  trap 'if [[ $(readlink -- "$lock") == "$identity" ]]; then rm -f -- "$lock"; fi' EXIT
}

# A number is given to another process some day; a number and a start are not.
is_running() {
  local pid=${1%%:*} start=${1#*:}
  if [[ -n $start ]]; then [[ $(start_of "$pid") == "$start" ]]; else kill -0 "$pid" 2>/dev/null; fi
}

# When a process that lives was started, where /proc says so: its 22nd field; the second is its name in brackets.
start_of() {
  local stat fields
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
  read -ra fields <<<"${stat##*) }"
  if [[ ${fields[0]} != Z ]]; then printf '%s' "${fields[19]}"; fi
}

# The new file is its owner's alone, and the owner is who runs this: so must the old one be, or its reader is shut out.
read_key_file() {
  [[ -f $file && ! -L $file && -O $file ]] || fail "$file must be a file, not a link, and belong to you."
  [[ $(ls -ld -- "$file") == -r[w-]-------* ]] || fail "$file must be readable by you alone: chmod 600."
  IFS= read -r -d '' text <"$file" || true
  [[ $text =~ $key_pattern ]] || fail "$file holds no key."
  key=${BASH_REMATCH[0]} id=${BASH_REMATCH[1]} last4=${BASH_REMATCH[2]}
  [[ ! ${text//"$key"/} =~ $key_pattern ]] || fail "$file holds several keys: each needs a file of its own."
}

read_journal() {
  local name value
  phase='' old='' idempotency_key='' request='' new='' is_new=''
  [[ -f $journal ]] || return 0
  while IFS='=' read -r name value; do
    case $name in
      phase) phase=$value ;;
      old) old=$value ;;
      idempotency-key) idempotency_key=$value ;;
      request) request=$value ;;
      new) new=$value ;;
    esac
  done <"$journal"
  case $phase in
    asked)
      if [[ $old == "$id $last4" ]]; then return; fi
      say "$file holds another key than the one that was to be rotated: beginning anew."
      rm -f -- "$journal"
      phase=''
      ;;
    answered)
      [[ $new =~ ^$key_pattern$ ]] || fail "$journal is not a journal of this script."
      [[ $old == "$id $last4" || $new == "$key" ]] ||
        fail "$file holds neither the old key nor the new one: put one there, or delete $journal."
      ;;
    placed) ;;
    *) fail "$journal is not a journal of this script." ;;
  esac
}

# Whatever would stand in the way later is to stand in the way now, while nothing has been changed.
begin() {
  exchange "$key"
  [[ $status == 200 ]] || fail "The service does not take the key in $file ($status)${detail:+: $detail}"
  if [[ -n ${KEYTURN_API_KEY:-} ]]; then
    look
    [[ $status == 200 ]] || fail "The key cannot be watched with KEYTURN_API_KEY ($status)${detail:+: $detail}"
  fi
  idempotency_key=$(od -An -N16 -tx1 /dev/urandom)
  idempotency_key=${idempotency_key// /} request="{\"mode\":\"$mode\",\"grace\":$grace}"
  phase=asked is_new=yes old="$id $last4"
  write_temporary "$(print_journal)"$'\n'
  ln -- "$temporary" "$journal" 2>/dev/null || fail 'Another copy has just begun to rotate this key.'
  settle_folder
}

ask() {
  local config
  printf -v config '%s\n' "user = \"$id:$key\"" "data = \"${request//\"/\\\"}\"" \
    'header = "Content-Type: application/json"' "header = \"Idempotency-Key: $idempotency_key\""
  call /keys/self/rotations "$config"
  # Refused at once: nothing has been done, and nothing is left to repeat.
  if [[ -n $is_new && $tries == 1 && $status == 4?? ]]; then rm -f -- "$journal"; fi
  [[ $status == 201 ]] || fail "No new secret ($status)${detail:+: $detail} $file is unchanged; run this again.
If a rotation is under way and its answer is lost: keyturn keys cancel-rotation $id, and delete $journal."
  [[ $body =~ \"apiKey\":\"($key_pattern)\"\} && ${BASH_REMATCH[2]} == "$id" ]] || fail 'The answer holds no key.'
  new=${BASH_REMATCH[1]} phase=answered
  write_journal
}

# The answer may be an old one, repeated: of a rotation that has been cancelled since. So the new key is tried first.
place() {
  if [[ $new != "$key" ]]; then
    exchange "$new"
    if [[ $status == 401 ]]; then
      exchange "$key"
      [[ $status == 200 ]] || fail "Neither key is taken ($status)${detail:+: $detail} Both are kept; run this again."
      rm -f -- "$journal"
      fail "The rotation was cancelled: $file keeps its key. Run this again for another one."
    fi
    [[ $status == 200 ]] || fail "The new key could not be tried ($status); run this again."
    write_temporary "${text//"$key"/$new}"
    mv -f -- "$temporary" "$file"
    settle_folder
    key=$new
  fi
  phase=placed new=''
  write_journal
  say "$file holds the new key."
}

# The new key must work; the old secret is out of use when nobody has used it for as long as a token may be kept.
watch_old_secret() {
  local seen=none since=$SECONDS
  exchange "$key"
  [[ $status == 200 ]] || fail "The new key could not be tried ($status)${detail:+: $detail} Run this again."
  [[ $body =~ \"expires_in\":([0-9]+) ]] || fail 'The answer holds no lifetime.'
  quiet=${quiet:-${BASH_REMATCH[1]}}
  if [[ -z ${KEYTURN_API_KEY:-} ]]; then
    say 'The new key works; the old secret ends at its deadline.'
    return
  fi
  while look; do
    [[ $status != 40? ]] || fail "The key cannot be watched ($status)${detail:+: $detail} It is rotated."
    if [[ $status == 200 ]]; then
      if [[ -z $old_secret ]]; then say 'The old secret has ended.' && return; fi
      if [[ $seen != "$old_secret" ]]; then
        if [[ $seen != none ]]; then say "The old secret is still in use: $old_secret"; fi
        seen=$old_secret since=$SECONDS
      elif ((SECONDS - since > quiet)); then
        say "The old secret has not been used for $quiet seconds: $old_secret" && return
      fi
    fi
    sleep "$poll"
  done
}

finish() {
  rm -f -- "$journal" "$temporary"
  settle_folder
  say 'Rotated.'
}

# What is known of the secret that is to end: a line, empty where it has ended. The secrets stand last in the key.
look() {
  exchange "$KEYTURN_API_KEY"
  [[ $status == 200 ]] || return 0
  [[ $body =~ \"access_token\":\"([^\"]+)\" ]] || fail 'The answer holds no token.'
  call "/admin/keys/$id" "header = \"Authorization: Bearer ${BASH_REMATCH[1]}\""
  [[ $status == 200 ]] || return 0
  old_secret=$(sed -nE "s/$retiring_pattern/last used \1 from \2, ends \3/p" <<<"${body##*\"secrets\":[}")
}

# exchange KEY: does the service take it?
exchange() {
  call /oauth/token "data = \"grant_type=client_credentials&client_secret=$1\""
}

# call PATH CONFIG: curl reads what is secret from standard input, for a command line can be read by all. What was lost,
# came at a bad time or is still under way is repeated: there is no call here that may not be.
call() {
  local answer
  for tries in {1..10}; do
    if ((tries > 1)); then sleep 1; fi
    if answer=$(printf '%s\n' "$2" | curl "${curl_options[@]}" --url "$url$1" --config -); then
      status=${answer##*$'\n'} body=${answer%$'\n'*}
    else
      status=000 body=''
    fi
    case $status in 000 | 408 | 409 | 425 | 429 | 5??) ;; *) break ;; esac
  done
  detail=''
  if [[ $status != 2?? && $body =~ \"(detail|error_description)\":\"([^\"]*)\" ]]; then detail=${BASH_REMATCH[2]}; fi
}

print_journal() {
  printf '%s=%s\n' phase "$phase" old "$old" idempotency-key "$idempotency_key" request "$request" new "$new"
}

write_journal() {
  write_temporary "$(print_journal)"$'\n'
  mv -f -- "$temporary" "$journal"
  settle_folder
}

# A new file, 0600, on disk before it gets its name.
write_temporary() {
  rm -f -- "$temporary"
  (set -o noclobber && printf '%s' "$1" >"$temporary")
  sync -- "$temporary"
}

settle_folder() {
  rm -f -- "$temporary"
  sync -- "${file%/*}/"
}

say() { printf 'rotate: %s\n' "$*"; }

fail() {
  printf 'rotate: %s\n' "$*" >&2
  exit 1
}

misuse() {
  printf 'rotate: %s\n\n%s\n' "$1" "$usage" >&2
  exit 2
}

main "$@"
