package journal

// Act returns o with act in the place of every step on the disk: it is given
// what is done and how.
func Act(o Options, act func(step string, do func() error) error) Options {
	o.act = act
	return o
}
