package server

import "strings"

// example returns lines for a shell that create a key, sign a message and
// verify it.
func example(url, tokenPath string) string {
	return strings.NewReplacer("URL", url, "FILE", "'"+strings.ReplaceAll(tokenPath, "'", `'\''`)+"'").Replace(`  call() { curl -sS -H "Authorization: Bearer $(cat FILE)" -H 'Content-Type: application/json' "$@"; echo; }
  call URL/v1/keys -d '{"name":"demo"}'
  call URL/v1/keys/demo/sign -d '{"text":"hello"}'
  SIGNATURE=$(call URL/v1/keys/demo/sign -d '{"text":"hello"}' | sed 's/.*"signature":"\([^"]*\)".*/\1/')
  call URL/v1/keys/demo/verify -d '{"text":"hello","signature":"'"$SIGNATURE"'"}'`)
}
