package network

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/cli/mistake"
)

const nad = `
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: upkeep, namespace: plant}
spec: {config: '{"type": "macvlan", "master": "ens1", "ipam": {"type": "dhcp"}}'}
---
`

const gauge = `
apiVersion: v1
kind: Pod
metadata: {name: gauge, namespace: plant, annotations: {k8s.v1.cni.cncf.io/networks: upkep}}
`

func run(t *testing.T, in string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := Command(Environment{In: strings.NewReader(in), Out: &out})
	c.SetArgs(args)
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestCheckFailsOnWhatIsAsBadAsItIsTold(t *testing.T) {
	out, err := run(t, nad+gauge, "check", "-f", "-")
	if err == nil || err.Error() != "1 error about 2 objects" || !strings.Contains(out, "meant: plant/upkeep") {
		t.Error(out, err)
	}
	if out, err = run(t, nad, "check", "-f", "-", "--fail-on", "hint"); err != nil || out != "nothing to say about 1 object\n" {
		t.Error(out, err)
	}
	out, err = run(t, nad+gauge, "check", "-f", "-", "-o", "json")
	var said struct {
		Objects  int
		Findings []struct{ Check string }
	}
	if json.Unmarshal([]byte(out), &said) != nil || err == nil || said.Objects != 2 || len(said.Findings) != 1 || said.Findings[0].Check != "reference" {
		t.Error(out, err)
	}
}

func TestWhatMakesNoSenseIsAMistake(t *testing.T) {
	for _, args := range [][]string{{"check"}, {"check", "x.yaml"}, {"check", "-f", "-", "-o", "yaml"}, {"check", "-f", "-", "--fail-on", "bad"}, {"chek"}} {
		_, err := run(t, "", args...)
		var usage mistake.Error
		if !errors.As(err, &usage) {
			t.Error(args, err)
		}
	}
}
