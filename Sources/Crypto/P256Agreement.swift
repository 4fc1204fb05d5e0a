import COpenSSL
import Wire

extension P256.PrivateKey {
    /// ECDH (NIST SP 800-56A 5.7.1.2): the x coordinate of this key times `other`, 32 bytes,
    /// big-endian. The curve has cofactor 1, so a point on it that is not zero gives no small
    /// subgroup; `PublicKey` holds only such points.
    public func sharedSecret(with other: P256.PublicKey) -> [UInt8] {
        let point = P256.point(other.x963, times: scalar)
        return Array(point[1..<33])
    }
}

extension P256 {
    /// scalar times `point` (04 || x || y), in the same form; both must be in range.
    static func point(_ point: [UInt8], times scalar: [UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 65)
        let isMade = withPoint { group, product in
            guard let factor = EC_POINT_new(group) else { return false }
            defer { EC_POINT_free(factor) }
            let number = BN_bin2bn(scalar, Int32(scalar.count), nil)
            defer { BN_clear_free(number) }
            return number != nil
                && EC_POINT_oct2point(group, factor, point, point.count, nil) == 1
                && EC_POINT_mul(group, product, nil, factor, number, nil) == 1
                && EC_POINT_point2oct(
                    group, product, POINT_CONVERSION_UNCOMPRESSED, &bytes, bytes.count, nil) == 65
        }
        precondition(isMade, "libcrypto cannot multiply on P-256")
        return bytes
    }
}

/// The key derivation of GBCS 4.3.3.3: the one-step KDF of NIST SP 800-56A 5.8.1 with SHA-256 and
/// a single round.
public enum ConcatenationKDF {
    /// The first sixteen bytes of SHA-256(00000001 || secret || otherInformation).
    public static func key(secret: [UInt8], otherInformation: [UInt8]) -> Key128 {
        let digest = SHA256.digest([0, 0, 0, 1] + secret + otherInformation).words
        return Key128(high: digest.0, low: digest.1)
    }
}
