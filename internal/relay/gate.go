package relay

import (
	"context"
	"encoding/base64"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"weftnet.io/weftnet/internal/relay/frame"
	"weftnet.io/weftnet/internal/tenancy"
)

// Open is the gate where clients are not asked who they are, and see everything.
type Open struct{}

// Admit implements tenancy.Gate.
func (Open) Admit(context.Context, string) (tenancy.Reader, error) { return everyone{}, nil }

// closed is the gate that lets no client in.
type closed struct{}

func (closed) Admit(context.Context, string) (tenancy.Reader, error) {
	return nil, status.Error(codes.Unauthenticated, "this relay has no way to find out who asks")
}

type everyone struct{}

func (everyone) Name() string                              { return "system:anonymous" }
func (everyone) All(context.Context) (bool, error)         { return true, nil }
func (everyone) May(context.Context, string) (bool, error) { return true, nil }

// Interceptors have a server of gRPC ask each client who it is, for whatever it asks but how the relay is, and send flows as agents sent them.
// (Who watches that is asked: a watch goes on for as long as a client likes.)
func (s *Server) Interceptors() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(frame.Codec{}),
		grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			ctx, err := s.admit(ctx, info.FullMethod)
			if err != nil {
				return nil, err
			}
			return handle(ctx, request)
		}),
		grpc.StreamInterceptor(func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			ctx, err := s.admit(stream.Context(), info.FullMethod)
			if err != nil {
				return err
			}
			return handle(server, admitted{stream, ctx})
		}),
	}
}

// admitted is a stream whose client is known.
type admitted struct {
	grpc.ServerStream
	ctx context.Context
}

func (a admitted) Context() context.Context { return a.ctx }

type readerKey struct{}

func (s *Server) admit(ctx context.Context, method string) (context.Context, error) {
	if method == healthpb.Health_Check_FullMethodName {
		return ctx, nil
	}
	token, err := tokenOf(ctx)
	if _, open := s.o.Gate.(Open); err != nil && !open {
		return nil, err
	}
	reader, err := s.o.Gate.Admit(ctx, token)
	if err != nil {
		return nil, err
	}
	s.o.Log.Debug("a client asks", "client", reader.Name(), "method", method)
	return context.WithValue(ctx, readerKey{}, reader), nil
}

const wanted = "this relay wants to know who asks: send a Kubernetes token, as metadata \"authorization: Bearer TOKEN\" (`weft observe` does, by your kubeconfig; kubectl create token makes one). What it may see is what RBAC lets it get of flows.weftnet.io, in each namespace or in all"

// tokenOf finds the token of a request. Hubble's own client has no flag for a token, but for a password: Basic is taken as well, whatever the name.
func tokenOf(ctx context.Context) (string, error) {
	said := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(said) == 0 {
		return "", status.Error(codes.Unauthenticated, wanted)
	}
	kind, token, _ := strings.Cut(said[0], " ")
	token = strings.TrimSpace(token)
	if strings.EqualFold(kind, "basic") {
		text, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			return "", status.Error(codes.Unauthenticated, "authorization: what follows Basic is not base64; "+wanted)
		}
		_, token, _ = strings.Cut(string(text), ":")
	} else if !strings.EqualFold(kind, "bearer") {
		token = ""
	}
	if token == "" || len(said) > 1 {
		return "", status.Error(codes.Unauthenticated, wanted)
	}
	return token, nil
}

// readerOf is the client of a request. Without Interceptors there is none, and then nothing is answered.
func readerOf(ctx context.Context) (tenancy.Reader, error) {
	r, ok := ctx.Value(readerKey{}).(tenancy.Reader)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, wanted)
	}
	return r, nil
}
