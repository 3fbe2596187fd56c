package observation

import (
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/filter"
	"weftnet.io/weftnet/internal/settings/key"
)

// Export says where flows are written, beside those who ask for them.
type Export struct {
	File    FlowFile
	Several string // file that says what is written where, looked at again and again; empty: none
	IPFIX   string // collector: udp://HOST:PORT or tcp://HOST:PORT; empty: none
}

// FlowFile is one file of flows, as JSON.
type FlowFile struct {
	Path        string // stdout: the standard output of the agent; empty: none
	MaxMB       int    // from which size on a new file is begun
	Backups     int    // files that are kept beside it
	Compress    bool   // those are packed
	Allow, Deny string // filters as JSON, as filter.Parse reads them
	Mask        []string
}

// Redaction says what of HTTP flows is taken away before they are kept.
type Redaction struct {
	Enabled     bool
	Query       bool     // of URLs
	UserInfo    bool     // passwords in URLs
	Allow, Deny []string // headers that are kept; that are not. Neither: all values go
}

// ExportKeys are those of what is written, and of what is taken away before.
var ExportKeys = []key.Of[Observation]{
	{
		Name: "hubble-export-file-path", Concern: Concern, Holds: key.AtOnce, Text: "flows are written to this file, as JSON; stdout: to the agent's standard output; empty: not",
		Read: key.Text(func(c *Observation) *string { return &c.Export.File.Path }),
	},
	{
		Name: "hubble-export-file-max-size-mb", Default: "10", Concern: Concern, Holds: key.AtOnce, Syntax: key.Integer, Text: "size from which on another file is begun",
		Read: key.Number(1, 1<<20, func(c *Observation, n int) { c.Export.File.MaxMB = n }),
	},
	{
		Name: "hubble-export-file-max-backups", Default: "5", Concern: Concern, Holds: key.AtOnce, Syntax: key.Integer, Text: "files that are kept beside it",
		Read: key.Number(1, 1<<20, func(c *Observation, n int) { c.Export.File.Backups = n }),
	},
	{
		Name: "hubble-export-file-compress", Default: "false", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean, Text: "those are packed by gzip",
		Read: key.Flag(func(c *Observation) *bool { return &c.Export.File.Compress }),
	},
	{
		Name: "hubble-export-allowlist", Concern: Concern, Holds: key.AtOnce, Text: "filters as JSON, of which one must match, as `weft observe --print-raw-filters` prints them",
		Read: filters(func(c *Observation) *string { return &c.Export.File.Allow }),
	},
	{
		Name: "hubble-export-denylist", Concern: Concern, Holds: key.AtOnce, Text: "filters of which none may match",
		Read: filters(func(c *Observation) *string { return &c.Export.File.Deny }),
	},
	{
		Name: "hubble-export-fieldmask", Concern: Concern, Holds: key.AtOnce, Text: "fields that are written, such as time source.pod_name verdict; empty: all",
		Read: func(r *key.Reader, c *Observation, name string) {
			mask := key.Words(r.Text(name))
			if _, err := flow.NewMask(mask); err != nil {
				r.Problem(name, r.Text(name), err.Error()+"; all fields are written")
				return
			}
			c.Export.File.Mask = mask
		},
	},
	{
		Name: "hubble-flowlogs-config-path", Concern: Concern, Holds: key.AtOnce, Text: "file that says which flows are written to which files, read anew as it changes",
		Read: key.Text(func(c *Observation) *string { return &c.Export.Several }),
	},
	{
		Name: "hubble-export-ipfix-collector", Concern: Concern, Holds: key.AtOnce, Text: "what connections have carried, as they go on and at their ends, and drops go to this collector by IPFIX: udp://HOST:PORT or tcp://HOST:PORT",
		Read: key.Text(func(c *Observation) *string { return &c.Export.IPFIX }),
	},
	{
		Name: "hubble-redact-enabled", Default: "false", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean,
		Text: "what may be secret is taken out of HTTP flows before they are kept", Read: key.Flag(func(c *Observation) *bool { return &c.Redaction.Enabled }),
	},
	{
		Name: "hubble-redact-http-urlquery", Default: "false", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean, Text: "so are queries of URLs",
		Needs: "`hubble-redact-enabled`", Read: key.Flag(func(c *Observation) *bool { return &c.Redaction.Query }),
	},
	{
		Name: "hubble-redact-http-userinfo", Default: "true", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean, Text: "so are passwords in URLs",
		Needs: "`hubble-redact-enabled`", Read: key.Flag(func(c *Observation) *bool { return &c.Redaction.UserInfo }),
	},
	{
		Name: "hubble-redact-http-headers-allow", Concern: Concern, Holds: key.AtOnce, Text: "headers whose values are kept; of others they are not",
		Needs: "`hubble-redact-enabled`", Read: key.List(func(c *Observation) *[]string { return &c.Redaction.Allow }),
	},
	{
		Name: "hubble-redact-http-headers-deny", Concern: Concern, Holds: key.AtOnce, Text: "headers whose values are not kept; of others they are. Neither list: no values are kept",
		Needs: "`hubble-redact-enabled`", Read: func(r *key.Reader, c *Observation, name string) {
			c.Redaction.Deny = key.Words(r.Text(name))
			if len(c.Redaction.Deny) > 0 && len(c.Redaction.Allow) > 0 {
				r.Problem(name, r.Text(name), "says which headers are not kept, and hubble-redact-http-headers-allow which are: only the second holds")
				c.Redaction.Deny = nil
			}
		},
	},
}

// filters reads filters as JSON. What makes no sense lets nothing pass: a filter keeps flows from readers who are not meant to have them.
func filters(to func(*Observation) *string) key.Read[Observation] {
	return func(r *key.Reader, c *Observation, name string) {
		text := r.Text(name)
		list, err := filter.Parse(text)
		if err == nil {
			_, err = filter.New(list, nil)
		}
		if err != nil {
			r.Problem(name, text, err.Error()+"; nothing is written to hubble-export-file-path")
			c.Export.File.Path = ""
		}
		*to(c) = text
	}
}
