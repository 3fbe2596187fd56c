package attachment

import (
	"encoding/json"
	"net"
	"net/netip"
	"strings"
)

// Join is a NIC beside the first one that such an annotation tells of.
type Join struct {
	Namespace, Name string // of the definition
	Interface       string
	Addresses       []netip.Addr
	MAC             string // empty: it does not say
}

// Joins reads the annotation of a pod in a namespace. What cannot be read is left out: no pod waits for it.
func Joins(text, namespace string) (list []Join) {
	var entries []struct {
		Name      string
		Interface string
		IPs       []string
		MAC       string
		Default   bool
	}
	if json.Unmarshal([]byte(text), &entries) != nil {
		return nil
	}
	for _, e := range entries {
		if e.Default || e.Interface == "" || len(e.Interface) > most || strings.ContainsAny(e.Interface, "/ ") {
			continue
		}
		j := Join{Namespace: namespace, Name: e.Name, Interface: e.Interface}
		if of, name, ok := strings.Cut(e.Name, "/"); ok {
			j.Namespace, j.Name = of, name
		}
		for _, text := range e.IPs {
			if a, err := netip.ParseAddr(text); err == nil {
				j.Addresses = append(j.Addresses, a.Unmap().WithZone(""))
			}
		}
		if mac, err := net.ParseMAC(e.MAC); err == nil {
			j.MAC = mac.String()
		}
		list = append(list, j)
	}
	return list
}
