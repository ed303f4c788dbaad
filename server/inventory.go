package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sealwright/sealwright/server/internal/inventory"
	elsewhere "github.com/sealwright/sealwright/server/internal/source"
)

// CatalogueFile says where the data catalogue is, which maps resources to
// classes of data for policies: a file, or the URL of a service. The token is
// named, as env:NAME, file:PATH or cred:NAME.
type CatalogueFile struct {
	File    Setting `yaml:"file"`
	URL     Setting `yaml:"url"`
	Token   Setting `yaml:"token"`
	CAFile  Setting `yaml:"ca_file"`
	Refresh Setting `yaml:"refresh"`
}

// Bounds and default of data_catalogue.refresh.
const (
	minRefresh     = 10 * time.Second
	maxRefresh     = 24 * time.Hour
	defaultRefresh = 5 * time.Minute
)

// catalogue checks the settings of the data catalogue. Neither File nor URL
// means that there is none.
func (s *settings) catalogue(f CatalogueFile) inventory.Options {
	if f == (CatalogueFile{}) {
		return inventory.Options{}
	}
	o := inventory.Options{
		File: s.text("data_catalogue.file", "", f.File, ""), URL: s.text("data_catalogue.url", "", f.URL, ""),
		CAFile: s.text("data_catalogue.ca_file", "", f.CAFile, ""),
		Every:  s.duration("data_catalogue.refresh", 0, f.Refresh, defaultRefresh, minRefresh, maxRefresh),
	}
	switch {
	case (o.File == "") == (o.URL == ""):
		s.check("data_catalogue.file", f.File, errors.New("want either file or url"))
	case o.URL != "":
		s.check("data_catalogue.url", f.URL, elsewhere.CheckURL(o.URL))
	case o.CAFile != "" || f.Token.Line > 0:
		s.check("data_catalogue.url", f.URL, errors.New("token and ca_file are for a URL"))
	}
	if name := s.text("data_catalogue.token", "", f.Token, ""); name != "" {
		var err error
		o.Token, err = reference(name)
		s.check("data_catalogue.token", f.Token, err)
	}
	return o
}

// openCatalogue reads the data catalogue, if there is one, and goes on reading
// it until the function that it returns is called.
func openCatalogue(ctx context.Context, o inventory.Options, log *slog.Logger) (s *inventory.Source, stop func(), err error) {
	if o.File == "" && o.URL == "" {
		return nil, func() {}, nil
	}
	o.Alarm = func(err error) {
		if err != nil {
			log.Error("data catalogue", "error", err.Error())
			return
		}
		log.Info("the data catalogue can be read again")
	}
	if s, err = inventory.Open(ctx, o); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { s.Run(ctx) })
	return s, func() {
		cancel()
		group.Wait()
	}, nil
}
