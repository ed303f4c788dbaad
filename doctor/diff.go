package doctor

import "bytes"

// Diff is the first difference between what was signed and what was seen. The
// texts are cut to the bytes around it.
type Diff struct {
	Offset      int    `json:"offset"`       // of the first byte that differs
	Signed      string `json:"signed"`       // quoted where it is no plain text
	Seen        string `json:"seen"`         //
	SignedBytes int    `json:"signed_bytes"` // lengths of the whole texts
	SeenBytes   int    `json:"seen_bytes"`
}

// around is how many bytes a [Diff] shows before and after the difference.
const around = 24

// maxShown is how many differing bytes a [Diff] shows.
const maxShown = 96

func diff(signed, seen []byte) *Diff {
	start := 0
	for start < len(signed) && start < len(seen) && signed[start] == seen[start] {
		start++
	}
	end := 0
	for end < len(signed)-start && end < len(seen)-start && signed[len(signed)-1-end] == seen[len(seen)-1-end] {
		end++
	}
	return &Diff{Offset: start, Signed: excerpt(signed, start, end), Seen: excerpt(seen, start, end), SignedBytes: len(signed), SeenBytes: len(seen)}
}

func excerpt(b []byte, start, end int) string {
	from, to := max(0, start-around), min(len(b), len(b)-end+around)
	var out []byte
	if from > 0 {
		out = append(out, "…"...)
	}
	cut := b[from:to]
	if len(cut) > 2*around+maxShown {
		cut = cut[:2*around+maxShown]
		to = 0
	}
	out = append(out, bytes.ToValidUTF8(cut, []byte("\ufffd"))...)
	if to != len(b) {
		out = append(out, "…"...)
	}
	return string(out)
}
