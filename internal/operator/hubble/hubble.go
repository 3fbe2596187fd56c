// Package hubble keeps the certificates by which agents and relays know each other: in Secrets, with the names that upstream's tools
// look for.
//
// # The world it models
//
//	Secret cilium-ca                  ca.crt, ca.key            signs the others
//	Secret hubble-server-certs        ca.crt, tls.crt, tls.key  of agents: *.CLUSTER.hubble-grpc.cilium.io
//	Secret hubble-relay-client-certs  ca.crt, tls.crt, tls.key  of relays: *.hubble-relay.cilium.io
//
// What is not there is made, and what was made here is renewed when a third of its life is left, or when the cluster has another name.
// A Secret of others (Cilium's chart, cert-manager, a person) is used and never written: it has not the label of ours. An authority of
// others signs; where its key is kept elsewhere, the certificates must be made elsewhere, too.
//
// # Invariants
//
//   - An end that has read its Secret at any time is believed by one that reads its own now: a new authority is added to those that are believed an
//     hour before it signs, and stays beside its predecessor until that has run out.
//   - The replica that leads writes, in exactly the version that it has read.
//   - No key is logged, and none is in an error.
//
// # Example
//
//	err := manager.Add(&hubble.Keeper{Reader: m.GetAPIReader(), Writer: m.GetClient(), Namespace: "kube-system", Cluster: name, Log: log})
package hubble

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"weftnet.io/weftnet/internal/observe/peer"
	"weftnet.io/weftnet/internal/operator/authority"
)

// Names of Secrets.
const (
	AuthoritySecret = "cilium-ca"
	ServerSecret    = "hubble-server-certs"
	RelaySecret     = "hubble-relay-client-certs"
)

// Keys of Secrets.
const (
	keyAuthority        = "ca.crt"
	keyAuthorityPrivate = "ca.key"
	keyCertificate      = corev1.TLSCertKey
	keyPrivate          = corev1.TLSPrivateKeyKey
)

// The label of what was made here.
const (
	label = "app.kubernetes.io/managed-by"
	ours  = "weft-operator"
)

// Lifetimes, and how long a new authority is known before it signs: a Secret reaches the files of pods within a minute or two.
const (
	authorityLife   = 5 * 365 * 24 * time.Hour
	certificateLife = 90 * 24 * time.Hour
	spread          = time.Hour
)

const every = time.Minute

// Keeper keeps the Secrets.
type Keeper struct {
	Reader    client.Reader // not from a cache: three Secrets do not deserve a watch on all of them
	Writer    client.Writer
	Namespace string
	Cluster   func(context.Context) (string, error) // name of the cluster
	Log       *slog.Logger
	Now       func() time.Time // nil: the clock
}

// Start keeps until ctx ends; only the replica that leads is started.
func (k *Keeper) Start(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for said := ""; ; {
		switch err := k.Step(ctx); {
		case err == nil:
			said = ""
		case ctx.Err() == nil && err.Error() != said:
			said = err.Error()
			k.Log.Warn("the certificates of Hubble are not all in order", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Step looks once at all Secrets.
func (k *Keeper) Step(ctx context.Context) error {
	now := time.Now()
	if k.Now != nil {
		now = k.Now()
	}
	cluster, err := k.Cluster(ctx)
	if err != nil {
		return err
	}
	by, err := k.authority(ctx, now)
	if err != nil {
		return err
	}
	return errors.Join(
		k.certificate(ctx, now, ServerSecret, by, authority.For{Names: []string{peer.ServerName("*", cluster)}, Life: certificateLife, Server: true}),
		k.certificate(ctx, now, RelaySecret, by, authority.For{Names: []string{"*.hubble-relay.cilium.io"}, Life: certificateLife, Client: true}),
	)
}

// signer is an authority, and those that are believed beside it.
type signer struct {
	certificate *x509.Certificate
	key         crypto.Signer // nil: kept elsewhere
	bundle      []*x509.Certificate
}

// authority reads cilium-ca, and makes or renews it if it is ours.
func (k *Keeper) authority(ctx context.Context, now time.Time) (signer, error) {
	secret, found, err := k.read(ctx, AuthoritySecret)
	if err != nil {
		return signer{}, err
	}
	foreign := found && secret.Labels[label] != ours
	c, key, err := authority.Parse(secret.Data[keyAuthority], secret.Data[keyAuthorityPrivate])
	bundle := authority.Bundle(now, secret.Data[keyAuthority])
	switch {
	case foreign && len(secret.Data[keyAuthorityPrivate]) == 0 && len(bundle) > 0:
		return signer{bundle[0], nil, bundle}, nil
	case foreign && err != nil:
		return signer{}, fmt.Errorf("read Secret %s/%s, which others have made: %w: mend its ca.crt and ca.key, or delete it to have one made", k.Namespace, AuthoritySecret, err)
	case foreign && now.After(c.NotAfter):
		return signer{}, fmt.Errorf("the authority of Secret %s/%s, which others have made, has run out on %s: renew it, or delete the Secret to have one made",
			k.Namespace, AuthoritySecret, c.NotAfter.Format(time.DateOnly))
	case foreign, err == nil && !authority.Due(now, c):
		return signer{c, key, bundle}, nil
	}
	if c, key, err = authority.New(now, "Cilium CA", authorityLife); err != nil {
		return signer{}, fmt.Errorf("make an authority: %w", err)
	}
	bundle = append([]*x509.Certificate{c}, bundle...)
	private, err := authority.EncodeKey(key)
	if err != nil {
		return signer{}, fmt.Errorf("make an authority: %w", err)
	}
	data := map[string][]byte{keyAuthority: authority.Encode(bundle...), keyAuthorityPrivate: private}
	return signer{c, key, bundle}, k.write(ctx, secret, found, corev1.SecretTypeOpaque, data)
}

// certificate makes or renews a certificate, if it is not one of others.
func (k *Keeper) certificate(ctx context.Context, now time.Time, name string, by signer, f authority.For) error {
	secret, found, err := k.read(ctx, name)
	if err != nil {
		return err
	}
	c, _, err := authority.Parse(secret.Data[keyCertificate], secret.Data[keyPrivate])
	if found && secret.Labels[label] != ours {
		switch {
		case err != nil:
			return fmt.Errorf("read Secret %s/%s, which others have made: %w: mend its tls.crt and tls.key, or delete it to have one made", k.Namespace, name, err)
		case authority.Due(now, c):
			return fmt.Errorf("the certificate of Secret %s/%s, which others have made, runs out on %s: renew it, or delete the Secret to have one made",
				k.Namespace, name, c.NotAfter.Format(time.DateOnly))
		}
		return nil
	}
	data := map[string][]byte{keyAuthority: authority.Encode(by.bundle...), keyCertificate: secret.Data[keyCertificate], keyPrivate: secret.Data[keyPrivate]}
	if err != nil || !k.inOrder(now, c, by, f) {
		if by.key == nil {
			return fmt.Errorf("make the certificate of Secret %s/%s: Secret %s has no ca.key: put it there, or make the certificate where it is kept", k.Namespace, name, AuthoritySecret)
		}
		issued, key, err := authority.Issue(now, by.certificate, by.key, f)
		if err != nil {
			return fmt.Errorf("make the certificate of Secret %s/%s: %w", k.Namespace, name, err)
		}
		data[keyCertificate] = authority.Encode(issued)
		if data[keyPrivate], err = authority.EncodeKey(key); err != nil {
			return fmt.Errorf("make the certificate of Secret %s/%s: %w", k.Namespace, name, err)
		}
	}
	return k.write(ctx, secret, found, corev1.SecretTypeTLS, data)
}

// inOrder tells whether a certificate of ours may stay: it is for these names, and one who has the bundle believes it. One that must be
// renewed waits until all know the authority that is to sign.
func (k *Keeper) inOrder(now time.Time, c *x509.Certificate, by signer, f authority.For) bool {
	believed := slices.ContainsFunc(by.bundle, func(a *x509.Certificate) bool { return c.CheckSignatureFrom(a) == nil && now.Before(a.NotAfter) })
	if !believed || !slices.Equal(c.DNSNames, f.Names) {
		return false
	}
	known := now.Sub(authority.Made(by.certificate)) >= spread
	return !authority.Due(now, c) || !known && now.Add(spread).Before(c.NotAfter)
}

func (k *Keeper) read(ctx context.Context, name string) (secret *corev1.Secret, found bool, err error) {
	secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: name}}
	err = k.Reader.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, false, fmt.Errorf("read Secret %s/%s: %w", k.Namespace, name, err)
	}
	return secret, !apierrors.IsNotFound(err), nil
}

// write makes or changes a Secret of ours, if it is not so already.
func (k *Keeper) write(ctx context.Context, secret *corev1.Secret, found bool, of corev1.SecretType, data map[string][]byte) error {
	if found && maps.EqualFunc(secret.Data, data, bytes.Equal) {
		return nil
	}
	secret.Data = data
	write := func() error { return k.Writer.Update(ctx, secret) }
	if !found {
		secret.Type, secret.Labels = of, map[string]string{label: ours, "app.kubernetes.io/part-of": "weftnet"}
		write = func() error { return k.Writer.Create(ctx, secret) }
	}
	if err := write(); err != nil {
		return fmt.Errorf("write Secret %s/%s: %w", k.Namespace, secret.Name, err)
	}
	k.Log.Info("a certificate of Hubble is new", "secret", k.Namespace+"/"+secret.Name)
	return nil
}
