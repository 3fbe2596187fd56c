package redact

import (
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

func TestWhatMayBeSecretIsTakenAway(t *testing.T) {
	const secret = "https://joe:pw@db/x?q=1#f"
	for _, c := range []struct {
		name  string
		rules Rules
		url   string
		kept  [2]bool // headers Cookie, Accept
	}{
		{"nothing is asked for", Rules{Query: true, Deny: []string{"cookie"}}, secret, [2]bool{true, true}},
		{"no header is named", Rules{Enabled: true}, secret, [2]bool{}},
		{"some are kept", Rules{Enabled: true, UserInfo: true, Allow: []string{"ACCEPT"}}, "https://joe:HUBBLE_REDACTED@db/x?q=1#f", [2]bool{false, true}},
		{"some are not", Rules{Enabled: true, Query: true, Deny: []string{"cookie"}}, "https://joe:pw@db/x", [2]bool{false, true}},
		{"one that both name is kept", Rules{Enabled: true, Query: true, UserInfo: true, Allow: []string{"cookie"}, Deny: []string{"cookie"}}, "https://joe:HUBBLE_REDACTED@db/x", [2]bool{true, false}},
	} {
		h := &flowpb.HTTP{Url: secret, Headers: []*flowpb.HTTPHeader{{Key: "Cookie", Value: "c"}, {Key: "Accept", Value: "a"}}}
		c.rules.Layer7(&flowpb.Layer7{Record: &flowpb.Layer7_Http{Http: h}})
		if h.GetUrl() != c.url {
			t.Errorf("%s: have %s", c.name, h.GetUrl())
		}
		for i, value := range []string{"c", "a"} {
			want := Redacted
			if c.kept[i] {
				want = value
			}
			if have := h.GetHeaders()[i].GetValue(); have != want {
				t.Errorf("%s: %s is %s", c.name, h.GetHeaders()[i].GetKey(), have)
			}
		}
	}
	for _, odd := range []string{"http://%zz/?token=1", "http:joe:pw@db/x", "joe:pw@db/x", "http://joe:pw@db:x/"} {
		h := &flowpb.HTTP{Url: odd}
		Rules{Enabled: true, Query: true, UserInfo: true}.Layer7(&flowpb.Layer7{Record: &flowpb.Layer7_Http{Http: h}})
		if h.GetUrl() != Redacted {
			t.Errorf("%s: have %s", odd, h.GetUrl())
		}
	}
	for text, want := range map[string]string{"db.example.com:443": "db.example.com:443", "/x?joe:pw@db": "/x", "//joe:pw@db/x": "//joe:HUBBLE_REDACTED@db/x"} {
		h := &flowpb.HTTP{Url: text}
		Rules{Enabled: true, Query: true, UserInfo: true}.Layer7(&flowpb.Layer7{Record: &flowpb.Layer7_Http{Http: h}})
		if h.GetUrl() != want {
			t.Errorf("%s: have %s", text, h.GetUrl())
		}
	}
	Rules{Enabled: true}.Layer7(&flowpb.Layer7{Record: &flowpb.Layer7_Dns{Dns: &flowpb.DNS{}}})
}
