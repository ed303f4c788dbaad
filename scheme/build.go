package scheme

import (
	"errors"
	"fmt"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/mac"
)

// builder compiles a definition with parameters.
type builder struct {
	def     *Definition
	params  Params
	format  *Format
	program *program

	response *builder // nil if there is none
}

// compile returns the program of d with complete parameters.
func (d *Definition) compile(params Params) (*program, *builder, error) {
	format, err := d.resolve(params)
	if err != nil {
		return nil, nil, err
	}
	return d.compileFormat(format, params)
}

func (d *Definition) compileFormat(format *Format, params Params) (*program, *builder, error) {
	b := &builder{def: d, params: params, format: format, program: &program{id: d.ID, tagPart: -1}}
	for _, step := range []func() error{
		b.start, b.buildList, b.buildPayload, b.buildTag, b.buildValues, b.buildKey, b.buildChecks, b.buildMessage, b.buildResponse,
	} {
		if err := step(); err != nil {
			return nil, nil, fmt.Errorf("scheme %s: %w", d.ID, err)
		}
	}
	return b.program, b, nil
}

func (b *builder) start() error {
	p, f := b.program, b.format
	p.document = f.Document
	var err error
	if p.algorithm, err = mac.Parse(f.Algorithm); err != nil {
		return fmt.Errorf("algorithm: %w", err)
	}
	if u := b.params.Get("public_url"); u != "" {
		scheme, host, target, err := sealwright.SplitURL(u)
		if err != nil {
			return fmt.Errorf("parameter public_url: %w", err)
		}
		p.public = &sealwright.Message{Scheme: scheme, Host: host, Target: target}
	}
	return nil
}

// set reports whether the parameter is set, or none is asked for.
func (b *builder) set(param string) bool { return param == "" || b.params.Get(param) != "" }

func (b *builder) buildKey() error {
	var err error
	b.program.key, err = b.deriver(b.format.Key, b.program.algorithm)
	return err
}

func (b *builder) buildMessage() error {
	f, p := b.format, b.program
	list := f.Renderings
	if len(list) == 0 {
		list = []Rendering{{Message: f.Message}}
	} else if f.Message != nil {
		return errors.New("both message and renderings are given")
	}
	if len(list) > sealwright.MaxRenderings {
		return fmt.Errorf("%d renderings, at most %d are possible", len(list), sealwright.MaxRenderings)
	}
	for _, r := range list {
		if r.Message == nil {
			return errors.New("message: missing; an empty message is written as []")
		}
		segments, err := b.segments(r.Message)
		if err != nil {
			return err
		}
		p.renderings = append(p.renderings, segments)
		p.names = append(p.names, r.Name)
	}
	p.static = !p.conditional()
	if err := b.checkHead(); err != nil {
		return err
	}
	p.covers = p.best()
	p.fresh = p.time != nil && p.covers.Time
	return nil
}

// checkHead refuses a message with the head of a list in which the tag may
// stand before other parts.
func (b *builder) checkHead() error {
	p := b.program
	if p.usesHead && (p.list == nil || p.list.Format != "pairs" || p.tagPart != len(p.list.Parts)-1) {
		return errors.New("message: head needs a list of pairs whose last part is the tag")
	}
	return nil
}
