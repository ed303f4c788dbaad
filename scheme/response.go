package scheme

import "errors"

// buildResponse compiles the format of signed responses. It shares algorithm
// and key with that of requests, so that one ring serves both.
func (b *builder) buildResponse() error {
	if b.format.Response == nil {
		return nil
	}
	format := *b.format.Response
	if format.Algorithm != "" || format.Key != nil || format.Response != nil {
		return errors.New("response: algorithm, key and response are those of the request")
	}
	format.Algorithm, format.Key = b.format.Algorithm, b.format.Key
	var err error
	b.program.response, b.response, err = b.def.compileFormat(&format, b.params)
	if err == nil && b.program.response.tagSize != b.program.tagSize {
		err = errors.New("response: the tag has another size than that of the request")
	}
	return err
}
