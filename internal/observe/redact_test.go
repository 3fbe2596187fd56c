package observe

import (
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow/redact"
)

// TestWhatMayBeSecretIsGoneBeforeAFlowIsKept takes a kind of event that has HTTP, as no event of the datapath has.
func TestWhatMayBeSecretIsGoneBeforeAFlowIsKept(t *testing.T) {
	const http = abi.EventType(250)
	kinds[http] = &kind{
		more: func([]byte) any {
			return &flowpb.Layer7{Record: &flowpb.Layer7_Http{Http: &flowpb.HTTP{Url: "http://joe:pw@db/", Headers: []*flowpb.HTTPHeader{{Key: "Cookie", Value: "c"}}}}}
		},
		tell: func(in *Flow, f *flowpb.Flow) { f.L7 = in.more.(*flowpb.Layer7) },
	}
	defer delete(kinds, http)
	o := observer(t, func(*Options) {})
	take := func() *flowpb.HTTP {
		_, next := o.journal.Kept()
		o.take(syn(func(e *abi.Event) { e.Type = http }))
		return o.journal.Find(next).Message().GetL7().GetHttp()
	}
	if have := take(); have.GetUrl() != "http://joe:pw@db/" || have.GetHeaders()[0].GetValue() != "c" {
		t.Errorf("have %v, and nothing is asked for", have)
	}
	o.Redact(redact.Rules{Enabled: true, UserInfo: true})
	if have := take(); have.GetUrl() != "http://joe:HUBBLE_REDACTED@db/" || have.GetHeaders()[0].GetValue() != redact.Redacted {
		t.Errorf("have %v", have)
	}
}
