package scheme

// Format is the part of a definition that says how a message is read and
// written. Texts in it may hold parameters as ${name}; a source or template is
// explained in docs/schemes/format.md.
type Format struct {
	Algorithm    string      `json:"algorithm,omitempty"`     // name of package mac
	Key          *Key        `json:"key,omitempty"`           // how the secret becomes the MAC key
	KeyID        *Value      `json:"key_id,omitempty"`        // where the key ID stands
	List         *List       `json:"list,omitempty"`          // header value made of parts
	Tag          *Tag        `json:"tag,omitempty"`           // where the tag stands
	Time         *Time       `json:"time,omitempty"`          // where the time stands, and the window
	Nonce        *Nonce      `json:"nonce,omitempty"`         // where the nonce stands
	Headers      []Header    `json:"headers,omitempty"`       // headers with a fixed value
	Checks       []Check     `json:"checks,omitempty"`        // what else must hold
	Message      []Segment   `json:"message,omitempty"`       // the covered bytes
	Renderings   []Rendering `json:"renderings,omitempty"`    // instead of message: several ways to write them
	UnsignedTime string      `json:"unsigned_time,omitempty"` // accepted-risk: the time is outside the covered bytes
}

// Value is where one value stands.
type Value struct {
	From     string `json:"from"`
	If       string `json:"if,omitempty"` // parameter that must be set
	Optional bool   `json:"optional,omitempty"`
}
