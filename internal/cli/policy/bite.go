package policy

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/manifest"
)

// bite gives the objects with policies that are audited or staged as they will be once they are enforced: that is what
// a simulation of them is for. It says which those are.
func (env Environment) bite(objects []*manifest.Object) ([]*manifest.Object, error) {
	var out []*manifest.Object
	for _, o := range objects {
		policy, err := enforced(o)
		if err != nil {
			return nil, err
		}
		if policy != o {
			fmt.Fprintf(env.Err, "%s is not enforced by its annotation %s: simulated as if it were\n", o.Title(), language.ModeAnnotation)
		}
		out = append(out, policy)
	}
	return out, nil
}

// enforced is a policy without the annotation that keeps it from being enforced; anything else is as it was.
func enforced(o *manifest.Object) (*manifest.Object, error) {
	if !strings.HasSuffix(o.Kind, "NetworkPolicy") {
		return o, nil
	}
	var raw map[string]any
	if err := json.Unmarshal(o.JSON, &raw); err != nil {
		return nil, fmt.Errorf("%s: %w", o.At(""), err)
	}
	if mode, _, _ := unstructured.NestedString(raw, "metadata", "annotations", language.ModeAnnotation); mode != "audit" && mode != "stage" {
		return o, nil
	}
	unstructured.RemoveNestedField(raw, "metadata", "annotations", language.ModeAnnotation)
	text, err := json.Marshal(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.At(""), err)
	}
	out := *o
	out.JSON = text
	return &out, nil
}
