package api

// SetLimit is the body of PUT /v1/limits/{name}.
type SetLimit struct {
	Scope string `json:"scope" enum:"caller,key,tenant" doc:"Whom it counts, each for itself." example:"caller"`
	Match string `json:"match,omitempty" doc:"Name of one subject, or its beginning and an asterisk; absent for every one." example:"nightly-*"`
	Rate  int    `json:"rate" minimum:"1" doc:"Units that come back in each period. A request is one unit, a batch one for each item." example:"100"`
	Per   string `json:"per" enum:"second,minute,hour,day,month" example:"second"`
	Burst int    `json:"burst,omitempty" minimum:"1" doc:"Units at once; absent for as many as rate." example:"200"`
}

// Limit is one limit that holds in a tenant.
type Limit struct {
	Name     string      `json:"name" example:"per-caller"`
	Scope    string      `json:"scope" doc:"caller, key, tenant or address." example:"caller"`
	Match    string      `json:"match,omitempty"`
	Rate     int         `json:"rate" example:"100"`
	Per      string      `json:"per" example:"second"`
	Burst    int         `json:"burst" example:"200"`
	Platform bool        `json:"platform" doc:"It stands in the configuration of the server and holds in every tenant."`
	Usage    *LimitUsage `json:"usage,omitempty" doc:"If a subject was asked for."`
}

// LimitUsage is how much of a limit one subject has used.
type LimitUsage struct {
	Subject   string  `json:"subject" example:"nightly-1"`
	Used      int     `json:"used" doc:"Units of the burst that are not there now." example:"3"`
	Remaining int     `json:"remaining" doc:"Units that can be taken at once." example:"197"`
	Reset     float64 `json:"reset" doc:"Seconds until one more unit is there; 0 if all are." example:"0.01"`
}

// LimitList is the answer of GET /v1/limits: those of the tenant by name, then
// those of the platform.
type LimitList struct {
	Items []Limit `json:"items" nullable:"false"`
}
