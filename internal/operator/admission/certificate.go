package admission

import (
	"fmt"
	"slices"
	"time"

	"weftnet.io/weftnet/internal/operator/authority"
)

// Keys of the Secret.
const (
	keyAuthority        = "ca.crt" // PEM: the authority that signs, then former ones that still are trusted
	keyAuthorityPrivate = "ca.key"
	keyCertificate      = "tls.crt"
	keyPrivate          = "tls.key"
)

// Lifetimes. Each is renewed when a third of it is left.
const (
	authorityLife   = 5 * 365 * 24 * time.Hour
	certificateLife = 90 * 24 * time.Hour
)

// renew gives the data of the Secret as they should be now, and whether that is a change. Data that cannot be read are made
// anew.
func renew(now time.Time, data map[string][]byte, names []string) (map[string][]byte, bool, error) {
	by, byKey, err := authority.Parse(data[keyAuthority], data[keyAuthorityPrivate])
	out := map[string][]byte{
		keyAuthority: data[keyAuthority], keyAuthorityPrivate: data[keyAuthorityPrivate],
		keyCertificate: data[keyCertificate], keyPrivate: data[keyPrivate],
	}
	changed := false
	if err != nil || authority.Due(now, by) {
		changed = true
		if by, byKey, err = authority.New(now, "Weftnet webhook authority", authorityLife); err != nil {
			return nil, false, fmt.Errorf("make an authority: %w", err)
		}
		if out[keyAuthorityPrivate], err = authority.EncodeKey(byKey); err != nil {
			return nil, false, err
		}
		out[keyAuthority] = append(authority.Encode(by), authority.Encode(authority.Bundle(now, data[keyAuthority])...)...)
	}
	certificate, _, err := authority.Parse(out[keyCertificate], out[keyPrivate])
	if err == nil && !authority.Due(now, certificate) && slices.Equal(certificate.DNSNames, names) && certificate.CheckSignatureFrom(by) == nil {
		return out, changed, nil
	}
	certificate, key, err := authority.Issue(now, by, byKey, authority.For{Names: names, Life: certificateLife, Server: true})
	if err != nil {
		return nil, false, fmt.Errorf("make a certificate: %w", err)
	}
	out[keyCertificate] = authority.Encode(certificate)
	out[keyPrivate], err = authority.EncodeKey(key)
	return out, true, err
}
