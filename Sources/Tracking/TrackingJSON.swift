import DCC
import Wire

// Times are written `2026-03-04T05:06:07Z`, versions `0x01050200`, bytes as hex; what is not known
// is left out.

extension RequestRow: Encodable {
    private enum Key: String, CodingKey {
        case request, user, variant, version, image, manufacturer, model, type, code, accepted
        case refused, status, received, receivedWall, updated, updatedWall, devices
    }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(id, forKey: .request)
        try fields.encode(user, forKey: .user)
        try fields.encode(variant, forKey: .variant)
        try fields.encodeIfPresent(
            fileVersion.map(TrackingCSV.version) ?? version, forKey: .version)
        try fields.encodeIfPresent(image, forKey: .image)
        try fields.encodeIfPresent(manufacturer, forKey: .manufacturer)
        try fields.encodeIfPresent(model, forKey: .model)
        try fields.encodeIfPresent(type, forKey: .type)
        try fields.encode(code.rawValue, forKey: .code)
        try fields.encode(accepted, forKey: .accepted)
        try fields.encode(refused, forKey: .refused)
        try fields.encode(status, forKey: .status)
        try fields.encode(received.iso8601, forKey: .received)
        try fields.encode(iso8601(wall: receivedWall), forKey: .receivedWall)
        try fields.encode(updated.iso8601, forKey: .updated)
        try fields.encode(iso8601(wall: updatedWall), forKey: .updatedWall)
        try fields.encode(counts.named, forKey: .devices)
    }
}

extension TargetRow: Encodable {
    private enum Key: String, CodingKey {
        case request, user, variant, device, hub, type, manufacturer, model, fromVersion, toVersion
        case status, outcome, percent, detail, updated, updatedWall
    }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(request, forKey: .request)
        try fields.encode(user, forKey: .user)
        try fields.encode(variant, forKey: .variant)
        try fields.encode(device, forKey: .device)
        try fields.encodeIfPresent(hub, forKey: .hub)
        try fields.encodeIfPresent(type, forKey: .type)
        try fields.encodeIfPresent(manufacturer, forKey: .manufacturer)
        try fields.encodeIfPresent(model, forKey: .model)
        try fields.encodeIfPresent(fromVersion.map(TrackingCSV.version), forKey: .fromVersion)
        try fields.encodeIfPresent(toVersion.map(TrackingCSV.version), forKey: .toVersion)
        try fields.encode(status, forKey: .status)
        try fields.encode(outcome, forKey: .outcome)
        try fields.encodeIfPresent(percent, forKey: .percent)
        try fields.encode(detail, forKey: .detail)
        try fields.encode(updated.iso8601, forKey: .updated)
        try fields.encode(iso8601(wall: updatedWall), forKey: .updatedWall)
    }
}

extension HopRow: Encodable {
    private enum Key: String, CodingKey {
        case request, device, status, percent, detail, message, notice, time, wall
    }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encodeIfPresent(request, forKey: .request)
        try fields.encodeIfPresent(device, forKey: .device)
        try fields.encode(status, forKey: .status)
        try fields.encodeIfPresent(percent, forKey: .percent)
        try fields.encode(detail, forKey: .detail)
        try fields.encodeIfPresent(message.map { Hex.string($0) }, forKey: .message)
        try fields.encodeIfPresent(notice, forKey: .notice)
        try fields.encode(time.iso8601, forKey: .time)
        try fields.encode(iso8601(wall: wall), forKey: .wall)
    }
}

extension TrackingCounts: Encodable {
    private enum Key: String, CodingKey { case requests, devices }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(requests.named, forKey: .requests)
        try fields.encode(devices.named, forKey: .devices)
    }
}

extension StoredNotice: Encodable {
    private enum Key: String, CodingKey {
        case number, user, summary, request, device, time, wall, state, attempts, tried
    }

    /// All but its bytes.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(number, forKey: .number)
        try fields.encode(user, forKey: .user)
        try fields.encode(summary, forKey: .summary)
        try fields.encodeIfPresent(request, forKey: .request)
        try fields.encodeIfPresent(device, forKey: .device)
        try fields.encode(time.iso8601, forKey: .time)
        try fields.encode(iso8601(wall: wall), forKey: .wall)
        try fields.encode(state, forKey: .state)
        try fields.encode(attempts, forKey: .attempts)
        try fields.encodeIfPresent(tried.map { iso8601(wall: $0) }, forKey: .tried)
    }
}

extension [TrackingStatus: Int] {
    fileprivate var named: [String: Int] {
        [String: Int](uniqueKeysWithValues: map { ($0.key.rawValue, $0.value) })
    }
}
