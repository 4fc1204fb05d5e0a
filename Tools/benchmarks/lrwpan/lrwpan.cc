// SPDX-License-Identifier: GPL-2.0-only
//
// What ns-3's lr-wpan takes for the frames of a firmware download: two nodes, one asking with 40
// bytes, the other answering with 84, each acknowledged by the MAC, without any security. See
// LICENCE.md beside this file.
//
// usage: lrwpan EXCHANGES
//
// Prints the frames on the air, acknowledgements included, and the seconds of processor time that
// they took.

#include <ns3/constant-position-mobility-model.h>
#include <ns3/core-module.h>
#include <ns3/lr-wpan-module.h>
#include <ns3/network-module.h>
#include <ns3/propagation-delay-model.h>
#include <ns3/propagation-loss-model.h>
#include <ns3/single-model-spectrum-channel.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

using namespace ns3;

namespace {

const uint32_t kRequest = 40;
const uint32_t kResponse = 84;

struct Exchange {
    Ptr<LrWpanNetDevice> client;
    Ptr<LrWpanNetDevice> server;
    uint64_t left = 0;
    uint64_t frames = 0;
    uint64_t failures = 0;
    uint8_t handle = 0;

    void Send(const Ptr<LrWpanNetDevice> &from, const Ptr<LrWpanNetDevice> &to, uint32_t size) {
        McpsDataRequestParams params;
        params.m_srcAddrMode = SHORT_ADDR;
        params.m_dstAddrMode = SHORT_ADDR;
        params.m_dstPanId = 1;
        params.m_dstAddr = to->GetMac()->GetShortAddress();
        params.m_msduHandle = ++handle;
        params.m_txOptions = TX_OPTION_ACK;
        from->GetMac()->McpsDataRequest(params, Create<Packet>(size));
    }

    void Ask() {
        if (left == 0) {
            Simulator::Stop();
            return;
        }
        left--;
        Send(client, server, kRequest);
    }

    void AtServer(McpsDataIndicationParams, Ptr<Packet>) { Send(server, client, kResponse); }
    void AtClient(McpsDataIndicationParams, Ptr<Packet>) { Ask(); }

    // A frame that was acknowledged is two frames on the air.
    void Sent(McpsDataConfirmParams params) {
        frames += 2;
        if (params.m_status != IEEE_802_15_4_SUCCESS) failures++;
    }
};

Ptr<LrWpanNetDevice> MakeDevice(const char *address, double x,
                                const Ptr<SingleModelSpectrumChannel> &channel) {
    auto node = CreateObject<Node>();
    auto device = CreateObject<LrWpanNetDevice>();
    device->SetAddress(Mac16Address(address));
    device->SetChannel(channel);
    node->AddDevice(device);
    auto position = CreateObject<ConstantPositionMobilityModel>();
    position->SetPosition(Vector(x, 0, 0));
    device->GetPhy()->SetMobility(position);
    device->GetMac()->SetPanId(1);
    return device;
}

double ProcessorTime() {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

int main(int argc, char **argv) {
    const uint64_t exchanges = argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
    if (exchanges == 0) {
        std::fputs("usage: lrwpan EXCHANGES\n", stderr);
        return 64;
    }
    auto channel = CreateObject<SingleModelSpectrumChannel>();
    channel->AddPropagationLossModel(CreateObject<LogDistancePropagationLossModel>());
    channel->SetPropagationDelayModel(CreateObject<ConstantSpeedPropagationDelayModel>());

    Exchange exchange;
    exchange.client = MakeDevice("00:01", 0, channel);
    exchange.server = MakeDevice("00:02", 5, channel);
    exchange.left = exchanges;
    exchange.client->GetMac()->SetMcpsDataIndicationCallback(
        MakeCallback(&Exchange::AtClient, &exchange));
    exchange.server->GetMac()->SetMcpsDataIndicationCallback(
        MakeCallback(&Exchange::AtServer, &exchange));
    for (const auto &device : {exchange.client, exchange.server})
        device->GetMac()->SetMcpsDataConfirmCallback(MakeCallback(&Exchange::Sent, &exchange));

    Simulator::Schedule(Seconds(1), &Exchange::Ask, &exchange);
    const double began = ProcessorTime();
    Simulator::Run();
    const double seconds = ProcessorTime() - began;
    Simulator::Destroy();
    if (exchange.left != 0 || exchange.failures != 0) {
        std::fprintf(stderr, "lrwpan: %llu exchanges not done, %llu frames not acknowledged\n",
                     static_cast<unsigned long long>(exchange.left),
                     static_cast<unsigned long long>(exchange.failures));
        return 1;
    }
    std::printf("%llu %.6f\n", static_cast<unsigned long long>(exchange.frames), seconds);
    return 0;
}
