package settings

import (
	"strings"

	"weftnet.io/weftnet/internal/settings/upstream"
)

var catalogue = func() map[string]Key {
	all := map[string]Key{}
	add := func(k Key) {
		if _, twice := all[k.Name]; twice {
			panic("settings: key " + k.Name + " is in the catalogue twice")
		}
		all[k.Name] = k
	}
	for _, k := range known {
		add(k)
	}
	for name := range strings.FieldsSeq(upstream.NotYet) {
		add(Key{Name: name, None: true})
	}
	return all
}()

const (
	kubeProxy = "kube-proxy and the portmap plugin do this"
	plaintext = "TRAFFIC IS NOT ENCRYPTED"
)

var off = []string{"false"}
