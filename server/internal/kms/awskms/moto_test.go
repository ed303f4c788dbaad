package awskms_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	api "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/sealwright/sealwright/internal/peer"
)

// against is what moto is not: its ciphertexts are its own, it lets everybody
// do everything, takes messages of any length, and answers AccessDenied to a
// blob of another key, where AWS answers IncorrectKey.
const against = "moto, a double of AWS KMS: no permissions, no limit of 4,096 bytes for MACs"

// server is a moto with keys.
type server struct {
	*peer.Moto
	root, mac, mac2, gone string // ARNs; gone does not exist
}

// start starts moto until the test ends.
func start(t *testing.T) *server {
	t.Helper()
	s := &server{Moto: peer.StartMoto(t)}
	s.makeKeys(t)
	return s
}

func (s *server) makeKeys(t *testing.T) {
	t.Helper()
	loaded, err := config.LoadDefaultConfig(t.Context())
	check(t, err)
	client := api.NewFromConfig(loaded, func(o *api.Options) { o.BaseEndpoint = aws.String(s.URL) })
	create := func(spec types.KeySpec, usage types.KeyUsageType) string {
		out, err := client.CreateKey(t.Context(), &api.CreateKeyInput{KeySpec: spec, KeyUsage: usage})
		check(t, err)
		return *out.KeyMetadata.Arn
	}
	s.root = create(types.KeySpecSymmetricDefault, types.KeyUsageTypeEncryptDecrypt)
	s.mac = create(types.KeySpecHmac256, types.KeyUsageTypeGenerateVerifyMac)
	s.mac2 = create(types.KeySpecHmac256, types.KeyUsageTypeGenerateVerifyMac)
	s.gone = s.root[:len(s.root)-12] + "000000000000"
	_, err = client.CreateAlias(t.Context(), &api.CreateAliasInput{AliasName: aws.String("alias/root"), TargetKeyId: aws.String(s.root)})
	check(t, err)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
