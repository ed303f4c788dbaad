package replay

import "fmt"

// Outcome says what became of a claim. Only [Fresh] lets a message through.
// The zero value is invalid.
type Outcome uint8

// The outcomes.
const (
	Fresh     Outcome = 1 // was not seen before, and is remembered now
	Replayed  Outcome = 2 // was seen before
	Full      Outcome = 3 // may be new, but there is no room to remember it
	FullShare Outcome = 4 // may be new, but its owner has no room left; others have
	Barred    Outcome = 5 // may have been seen and forgotten, as after a crash
	Outside   Outcome = 6 // its time is not in the window, so it would not be remembered for long enough
)

// String returns the outcome in a word for logs and metrics.
func (o Outcome) String() string {
	switch o {
	case Fresh:
		return "fresh"
	case Replayed:
		return "replayed"
	case Full:
		return "full"
	case FullShare:
		return "full-share"
	case Barred:
		return "barred"
	case Outside:
		return "outside"
	}
	return fmt.Sprintf("replay.Outcome(%d)", uint8(o))
}
