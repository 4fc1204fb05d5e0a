import COpenSSL

/// ECDSA over the curve P-256 (FIPS 186-4; the curve of GBCS signatures), thin over libcrypto.
///
/// Nothing here draws a random number: nonces follow RFC 6979 and new keys come from a seeded
/// stream, so that a run repeats byte for byte.
public enum P256 {
    /// The order n of the base point, big-endian.
    static let order: [UInt8] = [
        0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
        0xFF, 0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63,
        0x25, 0x51,
    ]

    /// True for 32 big-endian bytes in 1..<n.
    static func isScalar(_ bytes: [UInt8]) -> Bool {
        bytes.count == 32 && bytes.contains { $0 != 0 } && bytes.lexicographicallyPrecedes(order)
    }

    /// True for 04 || x || y of a point on the curve.
    static func isPoint(_ bytes: [UInt8]) -> Bool {
        guard bytes.count == 65, bytes[0] == 0x04 else { return false }
        return withPoint { group, point in
            // libcrypto checks the curve's equation while it reads.
            let isRead = EC_POINT_oct2point(group, point, bytes, bytes.count, nil) == 1
            if !isRead { ERR_clear_error() }
            return isRead
        }
    }

    /// scalar * G as 04 || x || y; `scalar` must be in range.
    static func point(times scalar: [UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 65)
        let isMade = withPoint { group, point in
            let number = BN_bin2bn(scalar, Int32(scalar.count), nil)
            defer { BN_clear_free(number) }
            return number != nil
                && EC_POINT_mul(group, point, number, nil, nil, nil) == 1
                && EC_POINT_point2oct(
                    group, point, POINT_CONVERSION_UNCOMPRESSED, &bytes, bytes.count, nil) == 65
        }
        precondition(isMade, "libcrypto cannot multiply on P-256")
        return bytes
    }

    static func withPoint<T>(_ body: (OpaquePointer, OpaquePointer) -> T) -> T {
        guard let point = EC_POINT_new(group) else { fatalError("memory ran out") }
        defer { EC_POINT_free(point) }
        return body(group, point)
    }

    /// The curve. Setting it up takes a third as long as a multiplication, so it is done once; from
    /// then on it is only read, which libcrypto allows from several threads.
    nonisolated(unsafe) private static let group: OpaquePointer = {
        guard let group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1) else {
            fatalError("libcrypto lacks P-256, or memory ran out")
        }
        return group
    }()
}
