# -*- coding: utf-8 -*-
import json
import os
from aliyunsdkdyplsapi.request.v20170525 import BindAxbRequest
from aliyunsdkdyplsapi.request.v20170525 import BindAxnRequest
from aliyunsdkdyplsapi.request.v20170525 import UnbindSubscriptionRequest
from aliyunsdkcore.client import AcsClient
"""
隐私保护服务调用接口示例,版本号:v20170525
Created on 2017-09-18
"""
REGION = "cn-hangzhou"
# ACCESS_ID/ACCESS_KEY TODO 此处需要替换成开发者自己的AK(在阿里云访问控制台寻找)
DEMO = json.load(open(os.environ.get("DEMO_JSON", "maskline-data/demo.json")))
ACCESS_KEY_ID = DEMO["access_key_id"]
ACCESS_KEY_SECRET = DEMO["access_key_secret"]
# 初始化acsClient,暂不支持region化
acs_client = AcsClient(ACCESS_KEY_ID, ACCESS_KEY_SECRET, REGION)
acs_client.add_endpoint(REGION, "Dyplsapi", os.environ.get("ENDPOINT", "127.0.0.1:8080"))
# 绑定Axn号码示例方法
def bind_axn_demo():
    # 组装请求对象 - 具体描述见控制台 - 文档部分内容
    bind_axn_request = BindAxnRequest.BindAxnRequest()
    # 必填:号池Key
    bind_axn_request.set_PoolKey(DEMO["pool_key"]);
    # 必填:AXN关系中的A号码
    bind_axn_request.set_PhoneNoA("15905712037");
    # 可选:AXN中A拨打X的时候转接到的默认的B号码, 如果不需要则不设置
    bind_axn_request.set_PhoneNoB("17005710796");
    # 必填:绑定关系对应的失效时间 - 不能早于当前系统时间1分钟
    bind_axn_request.set_Expiration("2099-09-18 17:00:00");
    # 可选:是否需要录制音频 - 默认是false
    bind_axn_request.set_IsRecordingEnabled(False);
    # 外部业务自定义ID属性
    bind_axn_request.set_OutId("yourOutId");
    # 调用远程接口,返回json
    bind_axn_response = acs_client.do_action_with_exception(bind_axn_request)
    # TODO 业务处理
    return bind_axn_response
# 测试
if __name__ == '__main__':
    print(bind_axn_demo())
