// Package redact takes what may be secret out of HTTP flows: values of headers, passwords and queries in URLs.
//
// It follows Hubble's keys hubble-redact-*: with both lists of headers empty no value is kept; with Allow only those of its
// headers; with Deny all but those of its headers. A header is kept as one that was there; its value becomes Redacted.
//
// Invariant: a URL that cannot be read goes as a whole.
//
//	redact.Rules{Enabled: true, UserInfo: true, Query: true}.Layer7(l7)
package redact

import (
	"net/url"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// Redacted stands in place of what was taken away; Hubble's word.
const Redacted = "HUBBLE_REDACTED"

// Rules say what is taken away.
type Rules struct {
	Enabled     bool
	Query       bool     // and the fragment of a URL
	UserInfo    bool     // the password of a URL
	Allow, Deny []string // names of headers, in any case
}

// Layer7 changes what a flow says of HTTP. DNS has nothing that is taken away.
func (r Rules) Layer7(l7 *flowpb.Layer7) {
	h := l7.GetHttp()
	if !r.Enabled || h == nil {
		return
	}
	h.Url = r.url(h.GetUrl())
	for _, header := range h.GetHeaders() {
		if !r.keeps(header.GetKey()) {
			header.Value = Redacted
		}
	}
}

func (r Rules) keeps(header string) bool {
	is := func(name string) bool { return strings.EqualFold(name, header) }
	if len(r.Deny) > 0 && len(r.Allow) == 0 {
		return !slices.ContainsFunc(r.Deny, is)
	}
	return slices.ContainsFunc(r.Allow, is)
}

func (r Rules) url(text string) string {
	if !r.Query && !r.UserInfo {
		return text
	}
	u, err := url.Parse(text)
	if err != nil || strings.Contains(u.Opaque, "@") { // http:joe:pw@db/x has a password where no part of a URL is
		return Redacted
	}
	if _, has := u.User.Password(); has && r.UserInfo {
		u.User = url.UserPassword(u.User.Username(), Redacted)
	}
	if r.Query {
		u.RawQuery, u.Fragment, u.RawFragment, u.ForceQuery = "", "", "", false
	}
	return u.String()
}
