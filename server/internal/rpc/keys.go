package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sealwright/sealwright/api"
	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// defaultPage is how many keys a page has if the caller does not say.
const defaultPage = 100

func (s *Server) getKey(c *call, q *pb.GetKeyRequest) (*pb.Key, error) {
	if custody.ValidName(q.Name) {
		c.op.Key = q.Name
	}
	k, err := s.o.Keys.Find(c.caller, access.KeyRead, q.Name)
	if err != nil {
		return nil, err
	}
	c.op.KeyID, c.op.Algorithm, c.op.Version = k.ID, k.Algorithm.String(), k.Signing
	uses, err := s.o.Keys.Uses(c.ctx, k)
	if err != nil {
		return nil, err
	}
	answer := keyOf(k)
	for _, v := range answer.Versions {
		u := uses[int(v.Version)]
		v.Uses, v.LastUsedAt = u.Count, instantOf(u.LastAt)
	}
	return answer, nil
}

func (s *Server) listKeys(c *call, q *pb.ListKeysRequest) (*pb.KeyList, error) {
	after, err := s.cursors.Open(c.caller.Tenant, q.Cursor)
	if err != nil {
		return nil, err
	}
	size := int(q.Limit)
	if size == 0 {
		size = defaultPage
	}
	page, next, err := s.o.Keys.List(c.caller, access.KeyRead, after, size)
	if err != nil {
		return nil, err
	}
	answer := &pb.KeyList{Items: make([]*pb.Key, len(page))}
	for i, k := range page {
		answer.Items[i] = keyOf(k)
	}
	if next != "" {
		answer.NextCursor, err = s.cursors.Seal(c.caller.Tenant, next)
	}
	return answer, err
}

func keyOf(k *custody.Key) *pb.Key {
	out := &pb.Key{
		Name: k.Name, KeyId: k.ID, Algorithm: k.Algorithm.String(), Exportable: k.Exportable, Purpose: k.Purpose,
		Version: int32(k.Signing), CreatedAt: timestamppb.New(k.CreatedAt), Schedule: scheduleOf(k.Schedule), Source: sourceOf(k.Source),
		Versions: make([]*pb.KeyVersion, len(k.Versions)),
	}
	if k.Native() {
		out.Construction = kms.Construction
	}
	for i, v := range k.Versions {
		out.Versions[i] = &pb.KeyVersion{
			Version: int32(v.Version), State: string(k.State(v.Version)), CreatedAt: timestamppb.New(v.CreatedAt), Signs: v.Signs, Bytes: int32(v.Bytes),
			NotBefore: instantOf(v.NotBefore), NotAfter: instantOf(v.NotAfter), ActivatedAt: instantOf(v.ActivatedAt),
			RetiredAt: instantOf(v.RetiredAt), RevokedAt: instantOf(v.RevokedAt), DestroyAt: instantOf(v.DestroyAt), DestroyedAt: instantOf(v.DestroyedAt),
		}
		if v.Native != (custody.NativeKey{}) {
			out.Versions[i].Native = &pb.NativeKey{Provider: v.Native.Provider, Key: v.Native.Key}
		}
	}
	return out
}

func scheduleOf(s *custody.Schedule) *pb.Schedule {
	if s == nil {
		return nil
	}
	out := &pb.Schedule{At: instantOf(s.At), Grace: s.Grace.String()}
	if s.Every > 0 {
		out.Every = s.Every.String()
	}
	return out
}

func sourceOf(s *custody.Source) *pb.KeySource {
	if s == nil {
		return nil
	}
	at, trouble := s.Checked()
	return &pb.KeySource{
		Provider: s.Provider, Name: s.Name, Field: s.Field, Encoding: s.Encoding, Every: api.FormatDuration(s.Every),
		Version: s.Version, ChangedAt: timestamppb.New(s.ChangedAt), CheckedAt: instantOf(at), Error: trouble,
	}
}

// instantOf returns nil for the zero time.
func instantOf(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
