"""Names nobody bears (虚构姓名): put together by chance from common characters."""

from __future__ import annotations

from random import Random

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾萧田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
MALE = "伟强磊军洋勇杰涛超明刚平辉鹏华飞波斌宇浩凯健俊帆旭宁博峰志国建东海文林成龙晓春立新永福德胜利民生安全"
FEMALE = "芳娜敏静丽艳娟霞秀英玲桂兰燕红梅萍雪莹洁婷慧颖佳琳璐瑶琪欣怡雅晴蓉薇倩云凤珍莉莎彤"
TOWNS = [
    "青山",
    "河口",
    "石桥",
    "柳林",
    "东岭",
    "南塘",
    "大营",
    "小河",
    "白云",
    "龙泉",
    "双峰",
    "清溪",
    "长坡",
    "新安",
    "马场",
    "临水",
    "高岗",
    "三岔",
    "梅园",
    "北湖",
]


def person_name(random: Random, sex: str, surname: str = "") -> str:
    """A made-up name for a person of that sex, with a surname of its own or the family's."""
    given = MALE if sex == "男" else FEMALE
    first = random.choice(given)
    second = random.choice(given) if random.random() < 0.75 else ""
    return (surname or random.choice(SURNAMES)) + first + (second if second != first else "")


def child_surname(random: Random, father: str, mother: str) -> str:
    """The surname of a child of two people of these names: mostly the father's."""
    return father[0] if random.random() < 0.97 else mother[0]
