package uninstall

import (
	"context"
	"errors"
	"strings"
	"testing"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
)

func TestWhatKubeProxyUsesIsNotRemoved(t *testing.T) {
	is := func(components ...agentv1.Component) string {
		env := Environment{Get: func(_ context.Context, _, _ string, into any) error {
			if components == nil {
				return errors.New("no agent answers")
			}
			*into.(*agentv1.NodeStatus) = agentv1.NodeStatus{Components: components}
			return nil
		}}
		if err := env.isReplaced(t.Context(), "/s"); err != nil {
			return err.Error()
		}
		return ""
	}
	other := agentv1.Component{Name: "kernel"}
	if why := is(other); !strings.Contains(why, "leaves services to kube-proxy") {
		t.Errorf("an agent that leaves services to kube-proxy: %q", why)
	}
	if why := is(other, agentv1.Component{Name: agentv1.ComponentProxy, Message: agentv1.ProxyRuns + " (pod kube-system/kube-proxy-x)"}); !strings.Contains(why, "kube-proxy-x") {
		t.Errorf("a kube-proxy that runs: %q", why)
	}
	if why := is(other, agentv1.Component{Name: agentv1.ComponentProxy, Message: "a kube-proxy has left …"}); why != "" {
		t.Error(why)
	}
	if why := is(); why != "" {
		t.Error(why)
	}
}
